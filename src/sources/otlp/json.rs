//! OTLP in JSON. Names are taken in lowerCamelCase and, as protobuf's JSON mapping allows, as the
//! messages spell them; 64-bit integers as numbers and as texts.

use super::{Attributes, Event, MAX_DEPTH, MOST_EVENTS, Malformed, Span};
use crate::json::{
    self, Type,
    object::{pick, plain},
    text,
};
use std::borrow::Cow;

/// See [`super::read`].
pub(super) fn read<'a>(
    body: &'a [u8],
    each: &mut dyn FnMut(&Span<'_>) -> bool,
) -> Result<(), Malformed> {
    if let Err(e) = std::str::from_utf8(body) {
        return Err(Malformed::NotUtf8(e.valid_up_to()));
    }
    let [camel, snake] = pick(body, ["resourceSpans", "resource_spans"])?;
    for of_resource in elements(camel.or(snake)) {
        let names = ["resource", "scopeSpans", "scope_spans", "instrumentationLibrarySpans"];
        let [resource, camel, snake, old] = pick(of_resource?, names)?;
        let resource = attributes(pick(resource.unwrap_or(b"{}"), ["attributes"])?[0])?;
        for of_scope in elements(camel.or(snake).or(old)) {
            let [scope, library, spans] =
                pick(of_scope?, ["scope", "instrumentationLibrary", "spans"])?;
            let [name] = pick(scope.or(library).unwrap_or(b"{}"), ["name"])?;
            let scope = name.and_then(plain).unwrap_or_default();
            for raw in elements(spans) {
                if !each(&span(raw?, (&resource, &scope))?) {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// The elements of an array that may be absent.
fn elements(raw: Option<&[u8]>) -> impl Iterator<Item = Result<&[u8], json::Error>> {
    json::elements(raw.unwrap_or(b"[]"))
}

fn span<'a>(
    raw: &'a [u8],
    (resource, scope): (&'a Attributes<'a>, &'a str),
) -> Result<Span<'a>, json::Error> {
    let [trace_id, span_id, parent_id, name, kind, start, end, status, own, events] = pick(
        raw,
        [
            "traceId",
            "spanId",
            "parentSpanId",
            "name",
            "kind",
            "startTimeUnixNano",
            "endTimeUnixNano",
            "status",
            "attributes",
            "events",
        ],
    )?;
    let [trace_snake, span_snake, parent_snake, start_snake, end_snake] = pick(
        raw,
        ["trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano"],
    )?;
    let [code, message] = pick(status.unwrap_or(b"{}"), ["code", "message"])?;
    let text = |raw: Option<&'a [u8]>| raw.and_then(plain).unwrap_or_default();
    let mut seen = Vec::new();
    for event in elements(events).take(MOST_EVENTS) {
        let [name, own] = pick(event?, ["name", "attributes"])?;
        seen.push(Event { name: text(name), attributes: attributes(own)? });
    }
    Ok(Span {
        resource,
        scope,
        name: text(name),
        kind: kind.map_or(0, |raw| named(raw, &KINDS)),
        trace_id: text(trace_id.or(trace_snake)),
        span_id: text(span_id.or(span_snake)),
        parent_id: text(parent_id.or(parent_snake)),
        start: start.or(start_snake).and_then(integer).unwrap_or(0),
        end: end.or(end_snake).and_then(integer).unwrap_or(0),
        status: code.map_or(0, |raw| named(raw, &CODES)),
        message: message.filter(|raw| Type::of(raw) == Type::String).map(Cow::Borrowed),
        attributes: attributes(own)?,
        events: seen,
    })
}

/// Names of enum values, which some exporters write where the protocol wants numbers.
const KINDS: [&str; 4] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT"];
const CODES: [&str; 3] = ["UNSET", "OK", "ERROR"];

fn named(raw: &[u8], names: &[&str]) -> u64 {
    integer(raw).unwrap_or_else(|| {
        let name = plain(raw).unwrap_or_default();
        names.iter().position(|known| name.ends_with(known)).map_or(0, |at| at as u64)
    })
}

/// A 64-bit integer, as a number or as a text.
fn integer(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(text::inner(raw)).ok()?.parse().ok()
}

fn attributes(raw: Option<&[u8]>) -> Result<Attributes<'_>, json::Error> {
    let mut all = Attributes::default();
    for attribute in elements(raw) {
        let [key, value] = pick(attribute?, ["key", "value"])?;
        let key = key.and_then(plain).unwrap_or_default();
        all.push(key, any_value(value.unwrap_or(b"{}"), 0)?);
    }
    Ok(all)
}

/// An `AnyValue` as plain JSON; `None` for what has no value, a bad one, or one too deep.
fn any_value(raw: &[u8], depth: usize) -> Result<Option<Cow<'_, [u8]>>, json::Error> {
    let [string, int, double, boolean, bytes, array, list] = pick(
        raw,
        [
            "stringValue",
            "intValue",
            "doubleValue",
            "boolValue",
            "bytesValue",
            "arrayValue",
            "kvlistValue",
        ],
    )?;
    let is = |wanted: Type| move |raw: &&[u8]| Type::of(raw) == wanted;
    if let Some(raw) = string.or(bytes).filter(is(Type::String)) {
        return Ok(Some(raw.into()));
    }
    if let Some(raw) = boolean.filter(is(Type::Bool)) {
        return Ok(Some(raw.into()));
    }
    if let Some(raw) = int {
        let digits = std::str::from_utf8(text::inner(raw)).ok();
        let good = digits.filter(|digits| digits.parse::<i64>().is_ok());
        // Not `+1` nor `007`, which are no JSON numbers.
        let good = good.filter(|digits| json::check(digits.as_bytes()).is_ok());
        return Ok(good.map(|digits| digits.as_bytes().into()));
    }
    if let Some(raw) = double {
        return Ok(matches!(Type::of(raw), Type::Number | Type::String).then_some(raw.into()));
    }
    if depth == MAX_DEPTH {
        return Ok(None);
    }
    if let Some(raw) = array {
        return values(raw, depth).map(Some);
    }
    list.map(|raw| members(raw, depth)).transpose()
}

fn values(raw: &[u8], depth: usize) -> Result<Cow<'_, [u8]>, json::Error> {
    let mut out = vec![b'['];
    for value in elements(pick(raw, ["values"])?[0]) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(&any_value(value?, depth + 1)?.unwrap_or(b"null".into()));
    }
    out.push(b']');
    Ok(out.into())
}

fn members(raw: &[u8], depth: usize) -> Result<Cow<'_, [u8]>, json::Error> {
    let mut out = json::object::Builder::default();
    for member in elements(pick(raw, ["values"])?[0]) {
        let [key, value] = pick(member?, ["key", "value"])?;
        let key = key.and_then(plain).unwrap_or_default();
        out.some(&key, any_value(value.unwrap_or(b"{}"), depth + 1)?);
    }
    Ok(out.end().into())
}
