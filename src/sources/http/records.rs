//! `POST /v1/records` and `POST /v1/litellm`: records and payloads, framed alike.

use super::{
    Peer,
    answer::{Form, Refused, outcomes},
    body,
    hand::{Desk, Hand, Unreadable},
};
use crate::{
    json::{self, Scanner},
    record::Capture,
    sources::litellm as shape,
};
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::{MethodRouter, post},
};
use std::sync::Arc;

/// Takes one record of a body.
type Take = fn(&[u8], &mut Hand);

/// `POST /v1/records`, each record at most `longest` bytes.
pub(super) fn native(longest: usize) -> MethodRouter<Arc<Desk>> {
    route(longest, |record, hand| {
        let (intake, origin, n) = hand.next();
        intake.record(record, origin, n);
    })
}

/// `POST /v1/litellm`, each payload at most `longest` bytes.
pub(super) fn litellm(longest: usize) -> MethodRouter<Arc<Desk>> {
    route(longest, |payload, hand| {
        let record = shape::record(payload);
        let (intake, origin, n) = hand.next();
        match record {
            Ok(record) => intake.captured(Capture::LiteLlm, &record, origin, n),
            // Refused as it came, so that the digest is of what was sent.
            Err(_) => intake.record(payload, origin, n),
        }
    })
}

fn route(longest: usize, take: Take) -> MethodRouter<Arc<Desk>> {
    post(move |State(desk): State<Arc<Desk>>, Extension(Peer(peer)), request: Request| async move {
        let taken = async {
            let is_json = kind(request.headers())?;
            let (parts, body) = request.into_parts();
            let body = body::read(&parts.headers, body, &desk).await?;
            let reader =
                move |body: &[u8], hand: &mut Hand| read(body, is_json, (longest, take), hand);
            desk.take((body, peer), reader).await
        };
        match taken.await {
            Ok((replies, Ok(form))) => outcomes(StatusCode::OK, form, replies),
            Ok((replies, Err(_))) => outcomes(StatusCode::BAD_REQUEST, Form::Lines, replies),
            Err(refused) => refused.into_response(),
        }
    })
}

/// Whether the content type is JSON, which may be anything, rather than NDJSON. There must be one: a
/// browser sends requests without, or as text, to wherever a foreign page wants.
fn kind(headers: &HeaderMap) -> Result<bool, Refused> {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let essence = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    match essence.to_ascii_lowercase().as_slice() {
        b"application/json" => Ok(true),
        b"application/x-ndjson" | b"application/ndjson" | b"application/jsonl" => Ok(false),
        _ => Err(Refused::Unsupported(
            "Content-Type must be application/x-ndjson or application/json",
        )),
    }
}

/// Takes a body apart. What is a JSON array is one; JSON that is one value is one record; all else
/// is lines, since there are senders that call their lines JSON.
fn read(
    body: &[u8],
    is_json: bool,
    (longest, take): (usize, Take),
    hand: &mut Hand,
) -> Result<Form, Unreadable> {
    let each = |record: &[u8], hand: &mut Hand| {
        if record.len() > longest {
            hand.refuse(("too_long", "longer than max_record"), record);
        } else {
            take(record, hand);
        }
    };
    if is_json && body.trim_ascii_start().starts_with(b"[") {
        let unreadable =
            |e: json::Error| Unreadable { code: "not_json", detail: format!("no JSON array: {e}") };
        for element in json::elements(body) {
            if hand.is_full() {
                break;
            }
            each(element.map_err(unreadable)?, hand);
        }
        return Ok(Form::Array);
    }
    if is_json && is_one_value(body) {
        each(body.trim_ascii(), hand);
        return Ok(Form::Lines);
    }
    for line in body.split(|b| *b == b'\n') {
        if hand.is_full() {
            break;
        }
        if !line.trim_ascii().is_empty() {
            each(line, hand);
        }
    }
    Ok(Form::Lines)
}

fn is_one_value(body: &[u8]) -> bool {
    let mut scanner = Scanner::new(body);
    scanner.value().is_ok() && scanner.end().is_ok()
}
