//! The bodies of `generation` and `generation_unresolved` entries. Each stands alone: it repeats
//! what identifies the call, so that nobody needs to join it with another entry to use it.
//!
//! What the application reported and what OpenRouter answered never share a member: where one name
//! would fit both (`total_cost`, `provider`), it has the answer, and `reported_…` the report.

use super::{Answer, Attempt, Call};
use crate::{
    enrich::{mismatch, money},
    entry::{Policy, body::Body},
    json::{self, Type},
    redact::Scope,
};
use rust_decimal::Decimal;

/// How a member of an answer is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum As {
    /// A text that people may have written.
    Text,
    /// An id, a name out of a list, an instant.
    Word,
    /// A number, digits kept.
    Number,
    /// `true` or `false`.
    Flag,
    /// Any value.
    Value,
}

/// Members of `data` that stand flat in the entry, and under which name. Some names are not
/// OpenRouter's own, where those mislead:
/// - `tokens_*` are counts by a common tokenizer that no bill uses; `native_tokens_*` are the billed;
/// - `latency` is documented as the total, yet is always shorter than `generation_time` and equals
///   the time to the provider's first byte; both are milliseconds (see [`latency_name`]);
/// - `streamed` is true for calls that were not streamed, so it is no evidence of what was asked;
/// - `model` is the dated name of what ran, not the alias that was asked for.
const FLAT: &[(&str, &str, As)] = &[
    ("request_id", "request_id", As::Word),
    ("upstream_id", "upstream_id", As::Word),
    ("created_at", "created_at", As::Word),
    ("model", "model_permaslug", As::Word),
    ("provider_name", "provider", As::Word),
    ("provider_responses", "provider_responses", As::Value),
    ("router", "router", As::Word),
    ("api_type", "api_type", As::Word),
    ("service_tier", "service_tier", As::Word),
    ("data_region", "data_region", As::Word),
    ("total_cost", "total_cost", As::Number),
    ("upstream_inference_cost", "upstream_inference_cost", As::Number),
    ("cache_discount", "cache_discount", As::Number),
    ("is_byok", "is_byok", As::Flag),
    ("native_tokens_prompt", "native_tokens_prompt", As::Number),
    ("native_tokens_completion", "native_tokens_completion", As::Number),
    ("native_tokens_reasoning", "native_tokens_reasoning", As::Number),
    ("native_tokens_cached", "native_tokens_cached", As::Number),
    ("native_tokens_completion_images", "native_tokens_completion_images", As::Number),
    ("tokens_prompt", "normalized_tokens_prompt", As::Number),
    ("tokens_completion", "normalized_tokens_completion", As::Number),
    ("num_media_prompt", "num_media_prompt", As::Number),
    ("num_input_audio_prompt", "num_input_audio_prompt", As::Number),
    ("num_media_completion", "num_media_completion", As::Number),
    ("num_search_results", "num_search_results", As::Number),
    ("num_fetches", "num_fetches", As::Number),
    ("web_search_engine", "web_search_engine", As::Word),
    ("finish_reason", "finish_reason", As::Text),
    ("native_finish_reason", "native_finish_reason", As::Text),
    ("cancelled", "cancelled", As::Flag),
    ("streamed", "streamed_told", As::Flag),
    ("latency", "first_byte_ms", As::Number),
    ("generation_time", "generation_time_ms", As::Number),
    ("moderation_latency", "moderation_latency_ms", As::Number),
    ("response_cache_source_id", "response_cache_source_id", As::Word),
];

/// Members that the endpoint is known to have and that stand elsewhere or under `openrouter`: where
/// they are null nothing is said.
const ELSEWHERE: &[&str] = &[
    "id",
    "usage",
    "external_user",
    "session_id",
    "app_id",
    "preset_id",
    "workspace_id",
    "origin",
    "http_referer",
    "user_agent",
];

/// Members within the answer's objects that are ids and names, not what people wrote.
const IDENTIFIERS: &[&str] = &[
    "id",
    "endpoint_id",
    "model_permaslug",
    "provider_name",
    "routed_service_tier",
    "session_id",
    "preset_id",
    "workspace_id",
];

/// Attempts told of at either end of a long row of them.
const TOLD: usize = 32;

/// The body of a `generation` entry: the call, what OpenRouter answered, and where the two disagree.
/// Disagreements are told (`mismatch`), never repaired.
#[must_use]
pub fn generation_body(
    call: &Call,
    answer: &Answer,
    policy: &Policy,
    attempts: &[Attempt],
) -> Vec<u8> {
    // A panic in a rule must cost the answer's content, not the daemon.
    let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut body = Body::new(policy, "generation", IDENTIFIERS);
        identity(&mut body, call);
        let odd = flat(&mut body, answer);
        costs(&mut body, answer);
        rest(&mut body, answer, &odd);
        let mismatch = mismatch::find(call, answer);
        if !mismatch.is_empty() {
            body.json("mismatch", &mismatch.into());
        }
        evidence(&mut body, answer, attempts);
        body.finish()
    }));
    whole.unwrap_or_else(|_| {
        let mut body = Body::new(policy, "generation", IDENTIFIERS);
        identity(&mut body, call);
        body.sealed("cost_source", "none");
        body.degraded("answer", "internal");
        evidence(&mut body, answer, attempts);
        body.finish()
    })
}

/// The body of a `generation_unresolved` entry: OpenRouter was asked about this call, as `attempts`
/// tells, and had no answer. `why` is one of our own words.
#[must_use]
pub fn unresolved_body(call: &Call, policy: &Policy, attempts: &[Attempt], why: &str) -> Vec<u8> {
    let mut body = Body::new(policy, "generation_unresolved", IDENTIFIERS);
    identity(&mut body, call);
    body.sealed("reason", why);
    tried(&mut body, attempts);
    body.finish()
}

/// What identifies the call and what the application reported of it, as its first entry has them.
/// They were scrubbed when that was sealed, and stay as they are so that the two can be joined.
fn identity(body: &mut Body<'_>, call: &Call) {
    body.sealed("id", &call.id);
    body.integer("call_seq", call.seq);
    body.sealed("call_event_type", &call.event_type);
    body.sealed("generation_id", &call.generation_id);
    for (name, told) in [
        ("timestamp", &call.timestamp),
        ("user_id", &call.user_id),
        ("session_id", &call.session_id),
        ("app", &call.app),
        ("api_key", &call.api_key),
        ("api_key_name", &call.api_key_name),
        ("status", &call.status),
        ("model_requested", &call.model_requested),
        ("model_used", &call.model_used),
        ("reported_provider", &call.provider),
    ] {
        if let Some(text) = told {
            body.sealed(name, text);
        }
    }
    let usage = call.usage.as_ref();
    for (name, told) in [
        ("prompt_tokens", call.prompt_tokens),
        ("completion_tokens", call.completion_tokens),
        ("reported_cached_tokens", usage.and_then(|u| u.cached_tokens)),
        ("reported_reasoning_tokens", usage.and_then(|u| u.reasoning_tokens)),
    ] {
        if let Some(count) = told {
            body.integer(name, count);
        }
    }
    if let Some(cost) = &call.usage_cost
        && !body.number("reported_cost", cost.as_bytes())
    {
        body.degraded("reported_cost", "type");
    }
}

/// Writes the members of [`FLAT`], and gives those that are not of the type they should be.
fn flat(body: &mut Body<'_>, answer: &Answer) -> Vec<&'static str> {
    let mut odd = Vec::new();
    for (key, name, kind) in FLAT {
        let Some(raw) = answer.raw(key) else { continue };
        let name = if *key == "latency" { latency_name(answer, name) } else { name };
        let fits = match kind {
            As::Text => body.text(name, raw, Scope::Text),
            As::Word => body.text(name, raw, Scope::Identifier),
            As::Number => body.number(name, raw),
            As::Flag => body.flag(name, raw),
            As::Value => {
                body.value(name, raw);
                true
            }
        };
        if !fits {
            body.degraded(name, "type");
            odd.push(*key);
        }
    }
    odd
}

/// For calls of the `decisions` API `generation_time` is 0 and `latency` is the whole duration.
fn latency_name(answer: &Answer, usual: &'static str) -> &'static str {
    match answer.text("api_type").as_deref() {
        Some("decisions") => "duration_ms",
        _ => usual,
    }
}

/// The amount charged, what was really spent, and who says so.
fn costs(body: &mut Body<'_>, answer: &Answer) {
    // `usage` is an object in every other entry, so the number stands in one as well, under the
    // name that the same amount has in a response.
    if let Some(raw) = answer.raw("usage") {
        body.object("usage", &[(b"\"cost\"", raw)], None);
    }
    match spend(answer) {
        Some(spend) => body.sealed("spend", &spend.to_string()),
        None => body.degraded("spend", ""),
    }
    let known = answer.raw("total_cost").is_some_and(|raw| Type::of(raw) == Type::Number);
    body.sealed("cost_source", if known { "generation" } else { "none" });
}

/// What the call cost whoever pays, in USD: `total_cost`, and for a call on the customer's own
/// provider key (BYOK) the provider's charge besides, since `total_cost` is then OpenRouter's fee
/// alone. For other calls `upstream_inference_cost` repeats the same charge: adding it would double
/// the bill (OpenRouter's usage accounting and BYOK pages). `None` when the answer does not tell
/// enough.
fn spend(answer: &Answer) -> Option<Decimal> {
    let cost = answer.money("total_cost")?;
    match answer.flag("is_byok") {
        Some(true) => money::sum(cost, answer.money("upstream_inference_cost")?),
        Some(false) => Some(cost),
        None if answer.money("upstream_inference_cost").is_none_or(|up| up.is_zero()) => Some(cost),
        None => None,
    }
}

/// `"openrouter":{…}`: everything of the answer that has no place of its own.
fn rest(body: &mut Body<'_>, answer: &Answer, odd: &[&str]) {
    let placed = |key: &str| {
        let flat = FLAT.iter().any(|(known, ..)| *known == key) && !odd.contains(&key);
        flat || matches!(key, "id" | "usage" | "external_user")
    };
    let silent = |key: &str, raw: &[u8]| {
        raw == b"null" && (ELSEWHERE.contains(&key) || FLAT.iter().any(|(known, ..)| *known == key))
    };
    let names: Vec<(Vec<u8>, &[u8])> = answer
        .members
        .iter()
        .filter(|(key, raw)| !placed(key) && !silent(key, raw))
        .map(|(key, raw)| {
            let mut name = Vec::new();
            json::text::write(&mut name, key);
            (name, raw.as_slice())
        })
        .collect();
    let members: Vec<json::Item<'_>> = names.iter().map(|(name, raw)| (&**name, *raw)).collect();
    let user = answer.raw("external_user").map(|raw| ("external_user", raw));
    if !members.is_empty() || user.is_some() {
        body.object("openrouter", &members, user);
    }
    let beside: Vec<json::Item<'_>> = answer.beside.iter().map(|(n, v)| (&**n, &**v)).collect();
    if !beside.is_empty() {
        body.object("openrouter_envelope", &beside, None);
    }
    if answer.duplicate {
        body.degraded("duplicate_member", "");
    }
}

/// What proves the answer: the digest of its bytes as they came, and how it was got.
fn evidence(body: &mut Body<'_>, answer: &Answer, attempts: &[Attempt]) {
    body.sealed("raw_sha256", &const_hex::encode(answer.sha256));
    body.integer("raw_bytes", answer.bytes as u64);
    tried(body, attempts);
}

/// Each attempt's status and age: "404 for ever", "404, then 200" and "500" are different stories.
fn tried(body: &mut Body<'_>, attempts: &[Attempt]) {
    let told = |Attempt { status, what, age_ms }: &Attempt| serde_json::json!({ "status": status, "what": what, "age_ms": age_ms });
    let skipped = TOLD..attempts.len().saturating_sub(TOLD);
    let all = attempts.iter().enumerate().filter(|(at, _)| !skipped.contains(at));
    body.integer("attempt_count", attempts.len() as u64);
    body.json("attempts", &all.map(|(_, attempt)| told(attempt)).collect());
}
