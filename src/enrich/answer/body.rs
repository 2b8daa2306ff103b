//! The bodies of `generation` and `generation_unresolved` entries.

use super::{Answer, Attempt, Call};
use crate::entry::{Policy, body::Body};

/// The body of a `generation` entry.
#[must_use]
pub fn generation_body(
    call: &Call,
    answer: &Answer,
    policy: &Policy,
    attempts: &[Attempt],
) -> Vec<u8> {
    let mut body = Body::new(policy, "generation", &[]);
    identity(&mut body, call);
    body.sealed("raw_sha256", &const_hex::encode(answer.sha256));
    tried(&mut body, attempts);
    body.finish()
}

/// The body of a `generation_unresolved` entry.
#[must_use]
pub fn unresolved_body(call: &Call, policy: &Policy, attempts: &[Attempt], why: &str) -> Vec<u8> {
    let mut body = Body::new(policy, "generation_unresolved", &[]);
    identity(&mut body, call);
    body.sealed("reason", why);
    tried(&mut body, attempts);
    body.finish()
}

fn identity(body: &mut Body<'_>, call: &Call) {
    body.sealed("id", &call.id);
    body.integer("call_seq", call.seq);
    body.sealed("generation_id", &call.generation_id);
}

fn tried(body: &mut Body<'_>, attempts: &[Attempt]) {
    let all: Vec<serde_json::Value> = attempts
        .iter()
        .map(|a| serde_json::json!({ "status": a.status, "what": a.what, "age_ms": a.age_ms }))
        .collect();
    body.json("attempts", &serde_json::Value::Array(all));
}
