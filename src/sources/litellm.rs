//! LiteLLM's logging payload (`StandardLoggingPayload`, as its `generic_api` callback posts it) → a
//! record. Pure.
//!
//! Money: LiteLLM's `response_cost` comes from its own price table and is kept as an estimate under
//! `metadata`; only the `usage.cost` that OpenRouter put into its response counts as a cost.
//! Everything not named here stays behind: headers, tracebacks and parameters hold what nobody asked
//! to keep.

use crate::{
    clock,
    json::{
        self, Type,
        object::{Builder, member, pick, plain},
        text,
    },
    record::is_generation_id,
    sources::shape,
};

/// What LiteLLM puts in the place of a text when it was told not to log messages.
const WITHHELD: &[u8] = b"redacted-by-litellm";
/// A placeholder is short; a longer value that mentions it is a text about it.
const LONGEST_PLACEHOLDER: usize = 512;
/// Its name for OpenRouter.
const OPENROUTER: &[u8] = b"openrouter";

/// Members of the payload that are kept under `metadata` as they are.
const KEPT: [&str; 12] = [
    "call_type",
    "stream",
    "custom_llm_provider",
    "model_id",
    "model_group",
    "api_base",
    "cache_hit",
    "request_tags",
    "trace_id",
    "litellm_call_id",
    "response_cost",
    "requester_ip_address",
];

/// Members of the payload's `metadata` that are kept: whose virtual key it was, and what its owner
/// said of the call.
const KEPT_OF_KEY: [&str; 11] = [
    "user_api_key_hash",
    "user_api_key_alias",
    "user_api_key_org_id",
    "user_api_key_team_id",
    "user_api_key_team_alias",
    "user_api_key_user_id",
    "user_api_key_user_email",
    "user_api_key_request_route",
    "spend_logs_metadata",
    "requester_metadata",
    "applied_guardrails",
];

/// The record that a payload tells of.
///
/// # Errors
/// When the payload is no JSON object.
pub fn record(payload: &[u8]) -> Result<Vec<u8>, json::Error> {
    let [model, end_user, messages, response, metadata, hidden, provider] = pick(
        payload,
        [
            "model",
            "end_user",
            "messages",
            "response",
            "metadata",
            "hidden_params",
            "custom_llm_provider",
        ],
    )?;
    let is_openrouter = provider.is_some_and(|raw| text::inner(raw) == OPENROUTER);
    let answer = Answer::read(response);
    let metadata = metadata.unwrap_or(b"{}");
    let mut out = Builder::default();
    identity(payload, (&answer, hidden), &mut out);
    // Who asked: the end user that the application named, else the owner of the virtual key.
    let keys = ["user_api_key_end_user_id", "user_api_key_end_user", "user_api_key_user_id"];
    let whose = pick(metadata, keys).unwrap_or_default();
    let said = |raw: &&[u8]| text::inner(raw) != b"";
    out.some("user_id", end_user.into_iter().chain(whose.into_iter().flatten()).find(said));
    if let Some(name) = model.and_then(plain) {
        // The prefix chose LiteLLM's way; but `openrouter/auto` is itself a model.
        let bare = name.strip_prefix("openrouter/").filter(|bare| bare.contains('/'));
        out.text("model_requested", bare.filter(|_| is_openrouter).unwrap_or(&name));
    }
    out.some("model_used", answer.model);
    let mut withheld = false;
    for (name, content) in [("messages", messages), ("response", answer.content)] {
        let placeholder = content.is_some_and(|raw| {
            raw.len() < LONGEST_PLACEHOLDER && memchr::memmem::find(raw, WITHHELD).is_some()
        });
        withheld |= placeholder;
        out.some(name, content.filter(|_| !placeholder));
    }
    numbers(payload, (&answer, metadata, is_openrouter), &mut out);
    let error = outcome(payload, &mut out);
    out.object("metadata", kept(payload, (metadata, error, withheld)));
    Ok(out.end())
}

/// What the model's answer says of itself.
#[derive(Default)]
struct Answer<'a> {
    id: Option<&'a [u8]>,
    model: Option<&'a [u8]>,
    usage: Option<&'a [u8]>,
    content: Option<&'a [u8]>,
}

impl<'a> Answer<'a> {
    fn read(response: Option<&'a [u8]>) -> Self {
        let Some(raw) = response else { return Answer::default() };
        let Ok([id, model, usage, choices]) = pick(raw, ["id", "model", "usage", "choices"]) else {
            return Answer { content: Some(raw), ..Answer::default() };
        };
        Answer { id, model, usage, content: choices.or(Some(raw)).filter(|raw| *raw != b"{}") }
    }
}

/// Ids, the call's type, its times.
fn identity(payload: &[u8], (answer, hidden): (&Answer<'_>, Option<&[u8]>), out: &mut Builder) {
    let names = ["id", "litellm_call_id", "status", "startTime", "endTime", "call_type"];
    let [id, call_id, status, start, end, call_type] = pick(payload, names).unwrap_or_default();
    let id = id.into_iter().chain(call_id).filter_map(plain).find(|id| !id.is_empty());
    if let Some(id) = &id {
        // The tries of one call may share an id; a failed one must not pass for one sent again.
        let failed = status.is_some_and(|raw| text::inner(raw) == b"failure");
        match end.filter(|_| failed).map(|raw| String::from_utf8_lossy(text::inner(raw))) {
            Some(end) => out.text("id", &format!("{id}:{end}")),
            None => out.text("id", id),
        }
    }
    // The header is there even where the body has an id of another kind.
    let header = hidden
        .and_then(|raw| member(raw, "additional_headers"))
        .and_then(|raw| member(raw, "llm_provider-x-generation-id"));
    let told = header.into_iter().chain(answer.id).filter_map(plain);
    if let Some(generation) = told.chain(id).find(|id| is_generation_id(id)) {
        out.text("generation_id", &generation);
    }
    let call_type = call_type.and_then(plain).unwrap_or_default();
    let is_chat = ["completion", "messages", "responses"].iter().any(|of| call_type.contains(of));
    if call_type.contains("embedding") {
        out.text("event_type", "embedding");
    } else if !is_chat && !call_type.is_empty() {
        out.text("event_type", &call_type);
    }
    match start.and_then(seconds) {
        Some(start) => {
            out.text("timestamp", &clock::rfc3339(start));
            if let Some(took) = end.and_then(seconds).map(|end| end - start).filter(|t| *t >= 0) {
                out.raw("latency_ms", shape::millis(took).as_bytes());
            }
        }
        None => out.some("timestamp", start),
    }
}

/// Seconds since the epoch as a JSON number → microseconds.
fn seconds(raw: &[u8]) -> Option<i64> {
    let seconds: f64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
    let micros = (seconds * 1e6).round();
    // Years 1970 to 9999; a float holds microseconds exactly that far.
    (0.0..253_402_300_800e6).contains(&micros).then_some(micros as i64)
}

/// Tokens and what the provider said of the cost.
fn numbers(
    payload: &[u8],
    (answer, metadata, is_openrouter): (&Answer<'_>, &[u8], bool),
    out: &mut Builder,
) {
    let [prompt, completion] =
        pick(payload, ["prompt_tokens", "completion_tokens"]).unwrap_or_default();
    out.some("prompt_tokens", prompt);
    out.some("completion_tokens", completion);
    let Some(usage) = answer.usage.or_else(|| member(metadata, "usage_object")) else { return };
    if is_openrouter || Type::of(usage) != Type::Object {
        return out.raw("usage", usage);
    }
    // Of others LiteLLM may have put in its own figure under this name.
    let mut kept = Builder::default();
    for (name, value) in json::members(usage).flatten() {
        let Some(name) = plain(name) else { continue };
        kept.raw(if name == "cost" { "litellm_cost" } else { &name }, value);
    }
    out.object("usage", kept);
}

/// How it ended; gives what is to be said of an error under `metadata`.
fn outcome<'a>(payload: &'a [u8], out: &mut Builder) -> Option<&'a [u8]> {
    let [status, information, error] =
        pick(payload, ["status", "error_information", "error_str"]).unwrap_or_default();
    let [class, code, message] =
        pick(information.unwrap_or(b"{}"), ["error_class", "error_code", "error_message"])
            .unwrap_or_default();
    let class = class.and_then(plain).filter(|class| !class.is_empty());
    match status.map(text::inner) {
        Some(b"failure") => out.text(
            "status",
            match class.as_deref() {
                Some(class) if class.contains("Timeout") => "timeout",
                Some(class) if class.contains("Cancel") || class.contains("Disconnect") => {
                    "cancelled"
                }
                _ => "error",
            },
        ),
        Some(_) => out.some("status", status),
        None => {}
    }
    if let Some(class) = class {
        out.text("error_type", &class);
    }
    out.some("error_code", code.filter(|raw| text::inner(raw) != b""));
    message.or(error).filter(|raw| text::inner(raw) != b"")
}

/// What stands under `metadata`.
fn kept(payload: &[u8], (metadata, error, withheld): (&[u8], Option<&[u8]>, bool)) -> Builder {
    let mut out = Builder::default();
    for (name, value) in KEPT.iter().zip(pick(payload, KEPT).unwrap_or_default()) {
        let name = if *name == "response_cost" { "litellm_cost_estimate" } else { name };
        out.some(name, value.filter(|raw| *raw != b"\"\"" && *raw != b"[]"));
    }
    for (name, value) in KEPT_OF_KEY.iter().zip(pick(metadata, KEPT_OF_KEY).unwrap_or_default()) {
        out.some(name, value.filter(|raw| *raw != b"{}" && *raw != b"[]"));
    }
    out.some("error_message", error);
    if withheld {
        out.raw("content_withheld", b"true");
    }
    out
}

#[cfg(test)]
mod tests;
