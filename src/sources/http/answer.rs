//! What a request is told.

use crate::{record::Reply, sources::reply};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Seconds after which a request that was put off may come again.
const RETRY_AFTER: &str = "2";

/// Why a request is not taken. None of these quotes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Wrong or no secret.
    Unauthorized,
    /// The daemon stops.
    Draining,
    /// More than a limit allows.
    TooLarge(String),
    /// A content type or encoding that is not taken.
    Unsupported(&'static str),
    /// The client did not send what it announced, or not in time, or not as it said.
    Broken(String),
    /// The ledger has no room.
    Behind,
    /// The ledger has it, but cannot say yet that it is safe.
    NotYet,
}

impl Refused {
    fn told(&self) -> (StatusCode, &'static str, &str) {
        match self {
            Refused::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "send the secret that the source is configured with",
            ),
            Refused::Draining => {
                (StatusCode::SERVICE_UNAVAILABLE, "draining", "nothing was taken; send it again")
            }
            Refused::TooLarge(detail) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail),
            Refused::Unsupported(detail) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", detail)
            }
            Refused::Broken(detail) => (StatusCode::BAD_REQUEST, "broken", detail),
            Refused::Behind => (
                StatusCode::TOO_MANY_REQUESTS,
                "behind",
                "the ledger is behind; nothing was taken, send it again later",
            ),
            Refused::NotYet => (
                StatusCode::SERVICE_UNAVAILABLE,
                "not_yet",
                "not known to be safe yet; send it again under the same ids",
            ),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, error, detail) = self.told();
        let body = json!({ "error": error, "detail": detail }).to_string();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self == Refused::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self, Refused::Behind | Refused::NotYet | Refused::Draining) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }
}

/// How the records of a request are written one after the other, and the answers likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A JSON value a line.
    Lines,
    /// A JSON array.
    Array,
}

/// The outcomes in the order of the records.
pub(super) fn outcomes(status: StatusCode, form: Form, mut replies: Vec<Reply>) -> Response {
    replies.sort_by_key(|reply| reply.n);
    let mut out = Vec::with_capacity(replies.len() * 160 + 2);
    if form == Form::Array {
        out.push(b'[');
    }
    for (at, reply) in replies.iter().enumerate() {
        if form == Form::Array && at > 0 {
            out.push(b',');
        }
        reply::write(&mut out, reply);
        if form == Form::Lines {
            out.push(b'\n');
        }
    }
    if form == Form::Array {
        out.push(b']');
    }
    let kind = match form {
        Form::Lines => "application/x-ndjson",
        Form::Array => "application/json",
    };
    (status, [(header::CONTENT_TYPE, kind)], out).into_response()
}
