//! Spans of OpenTelemetry instrumentations, by the GenAI conventions: today's names, the older ones
//! that are still in the wild (`gen_ai.system`, `prompt_tokens`, numbered prompts, one event a
//! message), and what the larger instrumentations add.
//!
//! Only what is named here is kept: an instrumentation may put a prompt under any name, and content
//! must not slip past the content policy. How many attributes were left out is told.
//!
//! `gen_ai.provider.name` names the flavour of the telemetry and may differ from who served the
//! call, so it does not become the record's `provider`. A cost is taken only when it says that it
//! came from the provider; what a client computed from a price list is no fact.

use super::{Attributes, Span};
use crate::{clock, json::object::Builder, record::is_generation_id, sources::shape};

const REQUESTED: [&str; 2] = ["gen_ai.request.model", "llm.request.model"];
const USED: &str = "gen_ai.response.model";
const OPERATION: &str = "gen_ai.operation.name";

/// Operations that only hold calls, or are none; their tokens are those of the calls inside.
const NOT_CALLS: [&str; 8] = [
    "create_agent",
    "invoke_agent",
    "invoke_workflow",
    "execute_tool",
    "plan",
    "retrieval",
    "evaluate",
    "memory",
];

/// Where a member of the record is looked for, in this order.
const MEMBERS: [(&str, &[&str]); 4] = [
    (
        "user_id",
        &[
            "user.id",
            "enduser.id",
            "enduser.pseudo.id",
            "user.hash",
            "traceloop.association.properties.user_id",
            "ai.telemetry.metadata.userId",
        ],
    ),
    (
        "session_id",
        &[
            "gen_ai.conversation.id",
            "session.id",
            "traceloop.association.properties.session_id",
            "ai.telemetry.metadata.sessionId",
        ],
    ),
    ("model_requested", &REQUESTED),
    ("model_used", &[USED]),
];

/// Attributes that are kept under `metadata`, and prefixes of such.
const KEPT: [&str; 17] = [
    OPERATION,
    "gen_ai.provider.name",
    "gen_ai.system",
    "gen_ai.output.type",
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "gen_ai.response.id",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.request.temperature",
    "gen_ai.request.top_p",
    "gen_ai.request.max_tokens",
    "gen_ai.request.seed",
    "gen_ai.request.stream",
    "gen_ai.request.choice.count",
    "llm.is_streaming",
    "server.address",
    "server.port",
];
const KEPT_OF_RESOURCE: [&str; 4] = [
    "service.version",
    "service.instance.id",
    "deployment.environment.name",
    "deployment.environment",
];

/// Whether a span tells of one call to a model.
pub(super) fn is_call(span: &Span<'_>) -> bool {
    let operation = span.attributes.text(OPERATION).unwrap_or_default();
    !NOT_CALLS.contains(&&*operation)
        && (span.attributes.first(&REQUESTED).is_some() || span.attributes.get(USED).is_some())
}

/// The record of such a span.
pub(super) fn record(span: &Span<'_>) -> Vec<u8> {
    let at = &span.attributes;
    let mut out = Builder::default();
    // A span that is sent again (exporters do) has the same ids.
    if !span.span_id.is_empty() {
        out.text("id", &format!("{}-{}", span.trace_id, span.span_id));
    }
    if let Some(id) = at.text("gen_ai.response.id").filter(|id| is_generation_id(id)) {
        out.text("generation_id", &id);
    }
    let operation = at.text(OPERATION).unwrap_or_default();
    match &*operation {
        "" | "chat" | "generate_content" => {}
        "embeddings" => out.text("event_type", "embedding"),
        other => out.text("event_type", other),
    }
    if let Some(start) = span.started() {
        out.text("timestamp", &clock::rfc3339(start));
    }
    for (name, attributes) in MEMBERS {
        out.some(name, at.first(attributes));
    }
    out.some("app", span.resource.get("service.name"));
    out.some("messages", messages(span, &PROMPT));
    out.some("response", messages(span, &ANSWER));
    usage(at, &mut out);
    if let Some(took) = span.took() {
        out.raw("latency_ms", shape::millis(took).as_bytes());
    }
    let kind = at.get("error.type").or_else(|| span.exception("exception.type"));
    let failed = span.status == 2 || kind.is_some();
    out.text("status", if failed { "error" } else { "success" });
    out.some("error_type", kind);
    out.some("error_code", at.first(&["http.response.status_code", "http.status_code"]));
    out.object("metadata", metadata(span, failed));
    out.end()
}

fn usage(at: &Attributes<'_>, out: &mut Builder) {
    let number = |names: &[&str]| at.number(names);
    let mut usage = Builder::default();
    let prompt =
        ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"];
    usage.some("prompt_tokens", number(&prompt));
    let completion = [
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
    ];
    usage.some("completion_tokens", number(&completion));
    usage.some("total_tokens", number(&["gen_ai.usage.total_tokens", "llm.usage.total_tokens"]));
    let by_provider = at.text("gen_ai.usage.cost.source").as_deref() == Some("provider")
        && at.text("gen_ai.usage.cost.currency").is_none_or(|currency| currency == "USD");
    usage.some("cost", number(&["gen_ai.usage.cost.amount"]).filter(|_| by_provider));
    let mut details = Builder::default();
    let cached = ["gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"];
    details.some("cached_tokens", number(&cached));
    let written = [
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    ];
    details.some("cache_write_tokens", number(&written));
    usage.object("prompt_tokens_details", details);
    let mut details = Builder::default();
    let reasoning = ["gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"];
    details.some("reasoning_tokens", number(&reasoning));
    usage.object("completion_tokens_details", details);
    out.object("usage", usage);
}

/// Where one side of a conversation may stand.
struct Side {
    /// Attributes, of the span or of one of its events, that hold all of it.
    whole: &'static [&'static str],
    /// `<prefix>.0.role`, `<prefix>.0.content`, …
    numbered: &'static str,
    /// Events that hold one message each.
    events: &'static [&'static str],
}

const PROMPT: Side = Side {
    whole: &["gen_ai.input.messages", "gen_ai.prompt", "ai.prompt.messages", "ai.prompt"],
    numbered: "gen_ai.prompt.",
    events: &[
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
    ],
};
const ANSWER: Side = Side {
    whole: &["gen_ai.output.messages", "gen_ai.completion", "ai.response.text"],
    numbered: "gen_ai.completion.",
    events: &["gen_ai.choice"],
};

fn messages(span: &Span<'_>, side: &Side) -> Option<Vec<u8>> {
    let all =
        std::iter::once(&span.attributes).chain(span.events.iter().map(|event| &event.attributes));
    if let Some(raw) = all.clone().find_map(|at| at.first(side.whole)) {
        return Some(shape::unpacked(raw));
    }
    let numbered = numbered(&span.attributes, side.numbered);
    let events = span.events.iter().filter(|event| side.events.contains(&&*event.name));
    let told = events.filter_map(|event| {
        let content = event.attributes.first(&["content", "message", "gen_ai.event.content"])?;
        let role = event.name.trim_start_matches("gen_ai.").split('.').next()?;
        let mut message = Builder::default();
        message.text("role", if role == "choice" { "assistant" } else { role });
        message.raw("content", &shape::unpacked(content));
        Some(message.end())
    });
    let all: Vec<Vec<u8>> = numbered.into_iter().chain(told).collect();
    (!all.is_empty()).then(|| [b"[", all.join(&b","[..]).as_slice(), b"]"].concat())
}

/// Messages whose parts are attributes of their own, in the order of their numbers.
fn numbered(at: &Attributes<'_>, prefix: &str) -> Vec<Vec<u8>> {
    let mut found = std::collections::BTreeMap::<u32, Builder>::new();
    for (name, value) in at.iter() {
        let part = name.strip_prefix(prefix).and_then(|rest| rest.split_once('.'));
        let number = part.and_then(|(number, part)| Some((number.parse().ok()?, part)));
        if let Some((number, part)) = number {
            found.entry(number).or_default().raw(part, value);
        }
    }
    found.into_values().map(Builder::end).collect()
}

fn metadata(span: &Span<'_>, failed: bool) -> Builder {
    let mut out = Builder::default();
    let at = &span.attributes;
    for name in KEPT {
        out.some(name, at.get(name));
    }
    for name in KEPT_OF_RESOURCE {
        out.some(name, span.resource.get(name));
    }
    let reasons = at.get("gen_ai.response.finish_reasons").map(shape::unpacked);
    out.some("finish_reasons", reasons);
    if failed {
        let said = span.message.as_deref().filter(|raw| *raw != b"\"\"");
        out.some("error_message", said.or_else(|| span.exception("exception.message")));
    }
    out.text("trace_id", &span.trace_id);
    out.text("span_id", &span.span_id);
    if !span.parent_id.is_empty() {
        out.text("parent_span_id", &span.parent_id);
    }
    out.text("scope", span.scope);
    let left_out = at.left_out + at.iter().filter(|(name, _)| !is_known(name)).count() as u64;
    if left_out > 0 {
        out.raw("attributes_left_out", left_out.to_string().as_bytes());
    }
    out
}

/// Whether an attribute is read here, be it as content.
fn is_known(name: &str) -> bool {
    let whole = |side: &Side| side.whole.contains(&name) || name.starts_with(side.numbered);
    KEPT.contains(&name)
        || MEMBERS.iter().any(|(_, names)| names.contains(&name))
        || name.starts_with("gen_ai.usage.")
        || name.starts_with("llm.usage.")
        || name == "gen_ai.response.finish_reasons"
        || name == "error.type"
        || name.starts_with("http.")
        || whole(&PROMPT)
        || whole(&ANSWER)
}
