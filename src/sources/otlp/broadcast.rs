//! OpenRouter's own traces (Broadcast): an independent witness of each call.
//!
//! Facts from OpenRouter's Broadcast pages and from captured deliveries of 2026: one delivery tells
//! of one request, in one to three spans, of which only the root counts; the root's
//! `gen_ai.response.id` is the generation id, its children's have a suffix (`…:attempt-0`);
//! `gen_ai.provider.name` is the author of the model, not who served it; a request that set
//! `trace.parent_span_id` has a root with a parent. An error's root has no usage and may lack the
//! attribute with the id, but its resource has it.
//!
//! What the caller sent (`rawRequest`) is not kept; the prompt and the answer are content like any
//! record's.

use super::{Meant, Span};
use crate::{
    clock,
    json::{
        Type,
        object::{Builder, member, plain},
        text,
    },
    record::{Capture, is_generation_id},
    sources::shape,
};

/// The generation id, on the resource.
const TRACE_ID: &str = "openrouter.trace.id";
const ROOT: &str = "LLM Generation";
/// Kind of a span that calls somebody.
const CLIENT: u64 = 3;
/// What "Test Connection" and "Send Trace" in OpenRouter's settings send.
const PROBES: [&str; 2] = ["openrouter-connection-test", "Test Generation"];

/// Whether a span comes from OpenRouter.
pub(super) fn is_one(span: &Span<'_>) -> bool {
    span.resource.get(TRACE_ID).is_some()
        || (span.scope == "openrouter"
            && span.resource.text("service.name").as_deref() == Some("openrouter"))
}

/// The entry that a span of OpenRouter's is worth.
pub(super) fn judge(span: &Span<'_>) -> Meant {
    if PROBES.contains(&&*span.name) {
        return Meant::Probe;
    }
    let own = span.attributes.text("gen_ai.response.id");
    let is_child = own.as_ref().is_some_and(|id| id.contains(':'));
    if span.name != ROOT && (is_child || own.is_none() || span.kind != CLIENT) {
        return Meant::Nothing;
    }
    Meant::Record(Capture::Broadcast, record(span))
}

fn record(span: &Span<'_>) -> Vec<u8> {
    let at = &span.attributes;
    let told = [at.text("gen_ai.response.id"), span.resource.text(TRACE_ID)];
    let id = told.into_iter().flatten().find(|id| is_generation_id(id));
    let mut out = Builder::default();
    // An id of its own: one source may take a call's record and OpenRouter's word on it.
    match &id {
        Some(id) => {
            out.text("id", &format!("broadcast:{id}"));
            out.text("generation_id", id);
        }
        None => out.text("id", &format!("broadcast:{}-{}", span.trace_id, span.span_id)),
    }
    if let Some(start) = span.started() {
        out.text("timestamp", &clock::rfc3339(start));
    }
    for (name, attribute) in [
        ("user_id", "user.id"),
        ("session_id", "session.id"),
        ("model_requested", "gen_ai.request.model"),
        ("model_used", "gen_ai.response.model"),
        ("provider", "trace.metadata.openrouter.provider_name"),
        ("api_key_name", "trace.metadata.openrouter.api_key_name"),
    ] {
        out.some(name, at.get(attribute));
    }
    content(span, &mut out);
    usage(span, &mut out);
    if let Some(took) = span.took() {
        out.raw("latency_ms", shape::millis(took).as_bytes());
    }
    outcome(span, &mut out);
    out.object("metadata", metadata(span));
    out.end()
}

/// Prompt and answer, which are absent in Privacy Mode.
fn content(span: &Span<'_>, out: &mut Builder) {
    let at = &span.attributes;
    if let Some(raw) = at.first(&["gen_ai.prompt", "trace.input", "span.input"]) {
        let prompt = shape::unpacked(raw);
        match member(&prompt, "messages") {
            Some(messages) => out.raw("messages", messages),
            None => out.raw("prompt", &prompt),
        }
    }
    if let Some(raw) = at.first(&["gen_ai.completion", "trace.output", "span.output"]) {
        let answer = shape::unpacked(raw);
        if Type::of(&answer) != Type::Object {
            return out.raw("response", &answer);
        }
        let said = member(&answer, "completion").filter(|raw| text::inner(raw) != b"");
        out.some("response", said.or_else(|| member(&answer, "toolCalls")));
    }
}

/// Tokens and money, in the shape of OpenRouter's `usage`.
fn usage(span: &Span<'_>, out: &mut Builder) {
    let number = |names: &[&str]| span.attributes.number(names);
    let mut usage = Builder::default();
    let prompt = ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"];
    usage.some("prompt_tokens", number(&prompt));
    let completion = ["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"];
    usage.some("completion_tokens", number(&completion));
    usage.some("total_tokens", number(&["gen_ai.usage.total_tokens"]));
    usage.some("cost", number(&["gen_ai.usage.total_cost"]));
    let group = |members: &[(&str, &str)]| {
        let mut group = Builder::default();
        for (name, attribute) in members {
            group.some(name, number(&[&format!("gen_ai.usage.{attribute}")]));
        }
        group
    };
    let of_prompt = [
        ("cached_tokens", "input_tokens.cached"),
        ("cache_write_tokens", "input_tokens.cache_write"),
        ("cache_write_5m_tokens", "input_tokens.cache_write_5m"),
        ("cache_write_1h_tokens", "input_tokens.cache_write_1h"),
        ("audio_tokens", "input_tokens.audio"),
        ("video_tokens", "input_tokens.video"),
    ];
    usage.object("prompt_tokens_details", group(&of_prompt));
    let of_completion =
        [("reasoning_tokens", "output_tokens.reasoning"), ("image_tokens", "output_tokens.image")];
    usage.object("completion_tokens_details", group(&of_completion));
    let of_cost = [("input_cost", "input_cost"), ("output_cost", "output_cost")];
    usage.object("cost_details", group(&of_cost));
    out.object("usage", usage);
}

fn outcome(span: &Span<'_>, out: &mut Builder) {
    let message = span.message.as_deref().and_then(plain).unwrap_or_default();
    let status = match span.status {
        2 if message.contains("disconnected") => "cancelled",
        2 => "error",
        _ => "success",
    };
    out.text("status", status);
    out.some("error_type", span.exception("exception.type"));
}

/// All that OpenRouter and the request's `trace` say under `trace.metadata`; each of it is there a
/// second time under `span.metadata`.
fn metadata(span: &Span<'_>) -> Builder {
    let (mut openrouter, mut generation) = (Builder::default(), Builder::default());
    let (mut trace, mut out) = (Builder::default(), Builder::default());
    for (name, value) in span.attributes.iter() {
        let Some(name) = name.strip_prefix("trace.metadata.") else { continue };
        match name.split_once('.') {
            // These two are the entry's own members.
            Some(("openrouter", "provider_name" | "api_key_name")) => {}
            Some(("openrouter", name)) => openrouter.raw(name, value),
            Some(("openrouter_generation", name)) => generation.raw(name, value),
            _ if name == "provider_responses" => out.raw(name, &shape::unpacked(value)),
            _ => trace.raw(name, value),
        }
    }
    out.some("finish_reason", span.attributes.get("gen_ai.response.finish_reason"));
    out.some("operation", span.attributes.get("gen_ai.operation.name"));
    out.some("trace_name", span.attributes.get("trace.name"));
    out.some("error_message", span.message.as_deref().filter(|_| span.status == 2));
    out.text("trace_id", &span.trace_id);
    out.text("span_id", &span.span_id);
    out.object("openrouter", openrouter);
    out.object("openrouter_generation", generation);
    out.object("trace", trace);
    out
}
