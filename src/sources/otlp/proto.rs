//! OTLP in protobuf. Read straight off the wire (protobuf.dev, "Encoding"): a message decoded into
//! structs would take a hundred times the memory of a body of empty spans, and nothing is needed of
//! most fields.

use super::{Attributes, Event, MAX_DEPTH, MOST_EVENTS, Malformed, Span, quoted};
use crate::json::object::Builder;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::borrow::Cow;

/// A field's value as the wire has it.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::Protobuf("a field has another type")),
        }
    }

    fn integer(self) -> Result<u64, Malformed> {
        match self {
            Wire::Varint(value) | Wire::Fixed(value) => Ok(value),
            Wire::Bytes(_) => Err(Malformed::Protobuf("a field has another type")),
        }
    }

    fn text(self) -> Result<Cow<'a, str>, Malformed> {
        Ok(String::from_utf8_lossy(self.bytes()?))
    }
}

/// The fields of one message in order: number and value. Stops at the first fault.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed::Protobuf("cut off"))?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Protobuf("a number is too long"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let split = usize::try_from(length).ok().and_then(|at| self.0.split_at_checked(at));
        let (taken, rest) = split.ok_or(Malformed::Protobuf("cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn advance(&mut self) -> Result<(u64, Wire<'a>), Malformed> {
        let key = self.varint()?;
        let little = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed(little(self.take(8)?)),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed(little(self.take(4)?)),
            _ => return Err(Malformed::Protobuf("a field of no known wire type")),
        };
        match key >> 3 {
            0 => Err(Malformed::Protobuf("a field without a number")),
            number => Ok((number, value)),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.advance();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// The messages in all fields of that number.
fn messages(message: &[u8], wanted: u64) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields(message).filter_map(move |field| match field {
        Ok((number, value)) => (number == wanted).then(|| value.bytes()),
        Err(e) => Some(Err(e)),
    })
}

/// The last field of that number, as protobuf wants it; an empty message when there is none.
fn one(message: &[u8], wanted: u64) -> Result<&[u8], Malformed> {
    messages(message, wanted).try_fold(&[][..], |_, field| field)
}

/// See [`super::read`].
pub(super) fn read(body: &[u8], each: &mut dyn FnMut(&Span<'_>) -> bool) -> Result<(), Malformed> {
    for of_resource in messages(body, 1) {
        let of_resource = of_resource?;
        let resource = attributes(one(of_resource, 1)?, 1)?;
        for of_scope in messages(of_resource, 2) {
            let of_scope = of_scope?;
            let scope = String::from_utf8_lossy(one(one(of_scope, 1)?, 1)?);
            for raw in messages(of_scope, 2) {
                if !each(&span(raw?, (&resource, &scope))?) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn span<'a>(
    message: &'a [u8],
    (resource, scope): (&'a Attributes<'a>, &'a str),
) -> Result<Span<'a>, Malformed> {
    let mut span = Span {
        resource,
        scope,
        name: Cow::default(),
        kind: 0,
        trace_id: Cow::default(),
        span_id: Cow::default(),
        parent_id: Cow::default(),
        start: 0,
        end: 0,
        status: 0,
        message: None,
        attributes: attributes(message, 9)?,
        events: Vec::new(),
    };
    for field in Fields(message) {
        let (number, value) = field?;
        match number {
            1 => span.trace_id = const_hex::encode(value.bytes()?).into(),
            2 => span.span_id = const_hex::encode(value.bytes()?).into(),
            4 => span.parent_id = const_hex::encode(value.bytes()?).into(),
            5 => span.name = value.text()?,
            6 => span.kind = value.integer()?,
            7 => span.start = value.integer()?,
            8 => span.end = value.integer()?,
            11 if span.events.len() < MOST_EVENTS => {
                let event = value.bytes()?;
                let name = String::from_utf8_lossy(one(event, 2)?);
                span.events.push(Event { name, attributes: attributes(event, 3)? });
            }
            15 => {
                for field in Fields(value.bytes()?) {
                    match field? {
                        (2, message) => {
                            span.message = Some(quoted(&message.text()?).into());
                        }
                        (3, code) => span.status = code.integer()?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(span)
}

/// The `KeyValue`s in a message's fields of that number.
fn attributes(message: &[u8], number: u64) -> Result<Attributes<'_>, Malformed> {
    let mut all = Attributes::default();
    for pair in messages(message, number) {
        let (key, value) = key_value(pair?, 0)?;
        all.push(key, value);
    }
    Ok(all)
}

type KeyValue<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

fn key_value(message: &[u8], depth: usize) -> Result<KeyValue<'_>, Malformed> {
    Ok((String::from_utf8_lossy(one(message, 1)?), any_value(one(message, 2)?, depth)?))
}

/// An `AnyValue` as plain JSON; `None` for what has no value or one too deep. Of several the last
/// counts.
fn any_value(message: &[u8], depth: usize) -> Result<Option<Cow<'_, [u8]>>, Malformed> {
    let Some(last) = Fields(message).last() else { return Ok(None) };
    let (number, value) = last?;
    let raw = match number {
        1 => quoted(&value.text()?),
        2 if value.integer()? == 0 => b"false".to_vec(),
        2 => b"true".to_vec(),
        // Negative numbers are the two's complement.
        3 => value.integer()?.cast_signed().to_string().into_bytes(),
        4 => double(f64::from_bits(value.integer()?)),
        5 | 6 if depth == MAX_DEPTH => return Ok(None),
        5 => {
            let mut out = vec![b'['];
            for value in messages(value.bytes()?, 1) {
                if out.len() > 1 {
                    out.push(b',');
                }
                let raw = any_value(value?, depth + 1)?;
                out.extend_from_slice(&raw.unwrap_or(b"null".into()));
            }
            out.push(b']');
            out
        }
        6 => {
            let mut out = Builder::default();
            for pair in messages(value.bytes()?, 1) {
                let (key, value) = key_value(pair?, depth + 1)?;
                out.some(&key, value);
            }
            out.end()
        }
        7 => quoted(&STANDARD.encode(value.bytes()?)),
        _ => return Ok(None),
    };
    Ok(Some(raw.into()))
}

/// The shortest digits that stand for the same number; what JSON has no number for, as a text.
fn double(value: f64) -> Vec<u8> {
    if !value.is_finite() {
        return quoted(&value.to_string());
    }
    let plain = value.to_string();
    if plain.len() <= 24 { plain } else { format!("{value:e}") }.into_bytes()
}
