//! `POST|PUT /v1/traces`: OTLP, OpenRouter's Broadcast among it.

use super::{
    Peer,
    answer::Refused,
    body,
    hand::{Desk, Hand, Unreadable},
};
use crate::{
    record::{Capture, Outcome, Reply},
    sources::{
        config::Accept,
        otlp::{self, Encoding, Meant},
    },
};
use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::sync::Arc;

/// The header of OpenRouter's "Test Connection".
const TEST: &str = "x-test-connection";

/// Spans that became no entry, and why.
#[derive(Default)]
struct Passed {
    /// Broadcast that came without a secret, or where only others are taken; and the reverse.
    unwelcome: u64,
    probes: u64,
    others: u64,
}

/// Takes one request. `open` is set when the source asks for no secret: a witness that anybody could
/// forge is none, so Broadcast is then not taken.
pub(super) async fn take(
    State(desk): State<Arc<Desk>>,
    Extension(Peer(peer)): Extension<Peer>,
    ((accept, open), request): ((Accept, bool), Request),
) -> Response {
    let encoding = match encoding(request.headers()) {
        Ok(encoding) => encoding,
        Err(refused) => return refused.into_response(),
    };
    if request.headers().contains_key(TEST) {
        tracing::info!("a connection test of OpenRouter's Broadcast passed");
        return success(encoding, (0, ""));
    }
    let (parts, body) = request.into_parts();
    let taken = async {
        let body = body::read(&parts.headers, body, &desk).await?;
        let reader = move |body: &[u8], hand: &mut Hand| {
            read(body, encoding, |capture| welcome(capture, accept, open), hand)
        };
        desk.take((body, peer), reader).await
    };
    match taken.await {
        Ok((replies, Ok(passed))) => {
            let Passed { unwelcome, probes, others } = passed;
            tracing::debug!(sealed = replies.len(), unwelcome, probes, others, "traces were taken");
            let refused = replies.iter().filter(|reply| is_refused(reply)).count() as u64;
            let why = match (unwelcome, open) {
                (0, _) => "refused spans are in the ledger as quarantine entries",
                (_, true) => "Broadcast is only taken by a source with a secret",
                (_, false) => "the source is set to take others",
            };
            success(encoding, (refused + unwelcome, why))
        }
        Ok((_, Err(detail))) => failure(encoding, &detail),
        Err(refused) => refused.into_response(),
    }
}

fn welcome(capture: Capture, accept: Accept, open: bool) -> bool {
    match capture {
        Capture::Broadcast => accept != Accept::Genai && !open,
        _ => accept != Accept::Broadcast,
    }
}

fn is_refused(reply: &Reply) -> bool {
    matches!(reply.outcome, Outcome::Quarantined { .. })
}

fn read(
    body: &[u8],
    encoding: Encoding,
    welcome: impl Fn(Capture) -> bool,
    hand: &mut Hand,
) -> Result<Passed, Unreadable> {
    let mut passed = Passed::default();
    let done = otlp::read(body, encoding, &mut |span| {
        match otlp::judge(span) {
            Meant::Record(capture, record) if welcome(capture) => {
                let (intake, origin, n) = hand.next();
                intake.captured(capture, &record, origin, n);
            }
            Meant::Record(..) => passed.unwelcome += 1,
            Meant::Probe => passed.probes += 1,
            Meant::Nothing => passed.others += 1,
        }
        !hand.is_full()
    });
    let unreadable = |e: otlp::Malformed| Unreadable { code: "not_otlp", detail: e.to_string() };
    done.map(|()| passed).map_err(unreadable)
}

/// The encoding that the content type names. There must be one, as for records.
fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let essence = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    match essence.to_ascii_lowercase().as_slice() {
        b"application/json" => Ok(Encoding::Json),
        b"application/x-protobuf" | b"application/protobuf" => Ok(Encoding::Protobuf),
        _ => Err(Refused::Unsupported(
            "Content-Type must be application/json or application/x-protobuf",
        )),
    }
}

/// `ExportTraceServiceResponse`, with `partial_success` when spans were refused.
fn success(encoding: Encoding, (refused, why): (u64, &str)) -> Response {
    let body = match (encoding, refused) {
        (Encoding::Json, 0) => b"{}".to_vec(),
        (Encoding::Json, _) => {
            let told = json!({ "rejectedSpans": refused.to_string(), "errorMessage": why });
            json!({ "partialSuccess": told }).to_string().into_bytes()
        }
        (Encoding::Protobuf, 0) => Vec::new(),
        (Encoding::Protobuf, _) => {
            let mut told = vec![1 << 3];
            varint(&mut told, refused);
            string(&mut told, 2, why.as_bytes());
            let mut out = Vec::new();
            string(&mut out, 1, &told);
            out
        }
    };
    answer(StatusCode::OK, encoding, body)
}

/// `google.rpc.Status` with code 3 (INVALID_ARGUMENT), which no client sends again.
fn failure(encoding: Encoding, detail: &str) -> Response {
    let body = match encoding {
        Encoding::Json => json!({ "code": 3, "message": detail }).to_string().into_bytes(),
        Encoding::Protobuf => {
            let mut out = vec![1 << 3, 3];
            string(&mut out, 2, detail.as_bytes());
            out
        }
    };
    answer(StatusCode::BAD_REQUEST, encoding, body)
}

fn answer(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response {
    let kind = match encoding {
        Encoding::Json => "application/json",
        Encoding::Protobuf => "application/x-protobuf",
    };
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// A length-delimited protobuf field.
fn string(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
