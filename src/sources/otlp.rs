//! OTLP traces → records. Pure: bytes in, records out.
//!
//! Protocol: opentelemetry-proto `trace/v1` as OTLP/HTTP carries it, in JSON (opentelemetry.io,
//! "OTLP Specification", JSON Protobuf Encoding) or in protobuf. Spans are handed on one at a time,
//! so that a small body which unpacks into many of them costs no memory.
//!
//! Two kinds of span are worth an entry: the root of a trace that OpenRouter itself sends when a call
//! is over (Broadcast), and a call to a model as OpenTelemetry's GenAI conventions tell it. All
//! others pass by.

mod broadcast;
mod genai;
mod json;
mod proto;

use crate::{
    json::{Type, object::plain, text},
    record::Capture,
};
use std::borrow::Cow;

/// Attributes looked at; an SDK's default limit is 128.
const MOST_ATTRIBUTES: usize = 1024;
/// Events of a span looked at; an SDK's default limit is 128.
const MOST_EVENTS: usize = 128;
/// Depth of attribute values; what is deeper is left out.
const MAX_DEPTH: usize = 16;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`
    Json,
    /// `application/x-protobuf`
    Protobuf,
}

/// Why bytes are no traces. Never quotes them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not UTF-8.
    #[error("not UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// Not JSON, or not of the shape.
    #[error("no OTLP JSON: {0}")]
    Json(#[from] crate::json::Error),
    /// Not the protobuf message.
    #[error("no OTLP protobuf: {0}")]
    Protobuf(&'static str),
}

/// Attributes by name, each value as raw JSON.
#[derive(Debug, Default)]
pub struct Attributes<'a> {
    all: Vec<(Cow<'a, str>, Cow<'a, [u8]>)>,
    /// How many more there were.
    left_out: u64,
}

impl<'a> Attributes<'a> {
    fn push(&mut self, key: Cow<'a, str>, value: Option<Cow<'a, [u8]>>) {
        match value {
            Some(value) if self.all.len() < MOST_ATTRIBUTES => self.all.push((key, value)),
            _ => self.left_out += 1,
        }
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.all.iter().rev().find(|(key, _)| key == name)?;
        let raw: &[u8] = value.as_ref();
        (raw != b"null" && raw != b"\"\"").then_some(raw)
    }

    /// The first of several names that is there.
    fn first(&self, names: &[&str]) -> Option<&[u8]> {
        names.iter().find_map(|name| self.get(name))
    }

    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).and_then(plain)
    }

    /// The first of several names that is there with a number.
    fn number(&self, names: &[&str]) -> Option<&[u8]> {
        names.iter().filter_map(|name| self.get(name)).find(|raw| Type::of(raw) == Type::Number)
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.all.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }
}

/// Something that happened in a span.
#[derive(Debug, Default)]
pub struct Event<'a> {
    name: Cow<'a, str>,
    attributes: Attributes<'a>,
}

/// One span, as far as it is looked at.
#[derive(Debug)]
pub struct Span<'a> {
    resource: &'a Attributes<'a>,
    scope: &'a str,
    name: Cow<'a, str>,
    kind: u64,
    /// Hex.
    trace_id: Cow<'a, str>,
    span_id: Cow<'a, str>,
    parent_id: Cow<'a, str>,
    /// Nanoseconds since the epoch; 0 when not told.
    start: u64,
    end: u64,
    /// 0 unset, 1 ok, 2 error.
    status: u64,
    /// A raw string.
    message: Option<Cow<'a, [u8]>>,
    attributes: Attributes<'a>,
    events: Vec<Event<'a>>,
}

impl Span<'_> {
    /// Start in microseconds.
    fn started(&self) -> Option<i64> {
        i64::try_from(self.start / 1000).ok().filter(|at| *at > 0)
    }

    /// Duration in microseconds.
    fn took(&self) -> Option<i64> {
        self.started()?;
        i64::try_from(self.end.checked_sub(self.start)? / 1000).ok()
    }

    /// What an `exception` event says under `name`.
    fn exception(&self, name: &str) -> Option<&[u8]> {
        let event = self.events.iter().find(|event| event.name == "exception")?;
        event.attributes.get(name)
    }
}

/// What a span is to us.
#[derive(Debug, PartialEq, Eq)]
pub enum Meant {
    /// A record of a call, or OpenRouter's word on one.
    Record(Capture, Vec<u8>),
    /// A probe that OpenRouter sends when somebody sets Broadcast up.
    Probe,
    /// Part of a call that has a span of its own, or of something else.
    Nothing,
}

/// What a span is to us.
#[must_use]
pub fn judge(span: &Span<'_>) -> Meant {
    if broadcast::is_one(span) {
        broadcast::judge(span)
    } else if genai::is_call(span) {
        Meant::Record(Capture::Otlp, genai::record(span))
    } else {
        Meant::Nothing
    }
}

/// Hands each span of a body to `each`, in order, until that returns `false`.
///
/// # Errors
/// When the body is no traces in that encoding; spans before the fault were handed on.
pub fn read(
    body: &[u8],
    encoding: Encoding,
    each: &mut dyn FnMut(&Span<'_>) -> bool,
) -> Result<(), Malformed> {
    match encoding {
        Encoding::Json => json::read(body, each),
        Encoding::Protobuf => proto::read(body, each),
    }
}

/// A text as raw JSON.
fn quoted(text: &str) -> Vec<u8> {
    let mut raw = Vec::with_capacity(text.len() + 2);
    text::write(&mut raw, text);
    raw
}

#[cfg(test)]
mod tests;
