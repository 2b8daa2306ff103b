//! The names an application may use, and what each of them means.

use crate::redact::Scope;

/// A known member of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is the member of that name; README, \"The record\", has the table"
)]
pub enum Field {
    Id,
    Timestamp,
    EventType,
    GenerationId,
    UserId,
    SessionId,
    App,
    ModelRequested,
    ModelUsed,
    Provider,
    Prompt,
    Messages,
    Response,
    PromptHash,
    ResponseHash,
    PromptTokens,
    CompletionTokens,
    Usage,
    TotalCost,
    LatencyMs,
    Status,
    ErrorType,
    ErrorCode,
    ApiKey,
    ApiKeyName,
    Metadata,
}

/// How many fields there are.
pub const FIELDS: usize = Field::Metadata as usize + 1;

/// Names and synonyms. A synonym gives way to the field's own name, which stands first.
const NAMES: &[(&str, Field)] = &[
    ("id", Field::Id),
    ("timestamp", Field::Timestamp),
    ("event_type", Field::EventType),
    ("generation_id", Field::GenerationId),
    ("user_id", Field::UserId),
    ("session_id", Field::SessionId),
    ("app", Field::App),
    ("model_requested", Field::ModelRequested),
    ("model_used", Field::ModelUsed),
    ("provider", Field::Provider),
    ("prompt", Field::Prompt),
    ("messages", Field::Messages),
    ("response", Field::Response),
    ("prompt_hash", Field::PromptHash),
    ("response_hash", Field::ResponseHash),
    ("prompt_tokens", Field::PromptTokens),
    ("completion_tokens", Field::CompletionTokens),
    ("usage", Field::Usage),
    ("total_cost", Field::TotalCost),
    ("latency_ms", Field::LatencyMs),
    ("status", Field::Status),
    ("error_type", Field::ErrorType),
    ("error_code", Field::ErrorCode),
    ("api_key", Field::ApiKey),
    ("api_key_name", Field::ApiKeyName),
    ("metadata", Field::Metadata),
    ("model", Field::ModelRequested),
    ("user", Field::UserId),
    ("input", Field::Prompt),
    ("output", Field::Response),
    ("completion", Field::Response),
    ("choices", Field::Response),
];

/// The fields' own names as raw JSON strings, in the order of [`NAMES`].
const QUOTED: [&str; FIELDS] = [
    r#""id""#,
    r#""timestamp""#,
    r#""event_type""#,
    r#""generation_id""#,
    r#""user_id""#,
    r#""session_id""#,
    r#""app""#,
    r#""model_requested""#,
    r#""model_used""#,
    r#""provider""#,
    r#""prompt""#,
    r#""messages""#,
    r#""response""#,
    r#""prompt_hash""#,
    r#""response_hash""#,
    r#""prompt_tokens""#,
    r#""completion_tokens""#,
    r#""usage""#,
    r#""total_cost""#,
    r#""latency_ms""#,
    r#""status""#,
    r#""error_type""#,
    r#""error_code""#,
    r#""api_key""#,
    r#""api_key_name""#,
    r#""metadata""#,
];

impl Field {
    /// The field that a raw name (no quotes) stands for, and whether it is the field's own name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<(Field, bool)> {
        let at = NAMES.iter().position(|(known, _)| known.as_bytes() == name)?;
        Some((NAMES.get(at)?.1, at < FIELDS))
    }

    /// The field's own name as a raw JSON string.
    #[must_use]
    pub fn quoted(self) -> &'static [u8] {
        QUOTED.get(self as usize).map_or(b"\"\"", |raw| raw.as_bytes())
    }

    /// The field's own name.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(name, _)| name)
    }
}

/// How a top-level member of that name is searched: ids, times and names of models are searched only
/// for what cannot be one of them.
#[must_use]
pub fn scope(name: &str) -> Scope {
    match Field::named(name.as_bytes()) {
        Some((
            Field::Id
            | Field::Timestamp
            | Field::EventType
            | Field::GenerationId
            | Field::SessionId
            | Field::ModelRequested
            | Field::ModelUsed
            | Field::Provider
            | Field::PromptHash
            | Field::ResponseHash,
            _,
        )) => Scope::Identifier,
        _ => Scope::Text,
    }
}

/// Event types that only veritail itself writes: an application that used one could pass off a
/// record as evidence.
const RESERVED: &[&str] = &[
    "segment_open",
    "segment_close",
    "checkpoint",
    "daemon_start",
    "daemon_stop",
    "config_reload",
    "recovery",
    "key_rotate",
    "gap",
    "file_copy",
    "quarantine",
    "clock_step",
    "retention",
    "legal_hold",
    "erasure",
    "anchor_receipt",
    "reconciliation",
    "access",
    "generation",
    "generation_unresolved",
    BROADCAST,
];

/// The event type of a trace that OpenRouter itself sent.
pub const BROADCAST: &str = "broadcast";

/// Whether only veritail itself writes entries of this type: such an entry is no call that an
/// application reported.
#[must_use]
pub fn is_reserved(event_type: &str) -> bool {
    RESERVED.contains(&event_type)
}

/// Whether an application may give its record this type: 1–64 of `a`–`z`, `A`–`Z`, digits, `_`,
/// `.`, `-`, and none of veritail's own.
#[must_use]
pub fn may_be_event_type(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && !is_reserved(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_fields() {
        for (at, (name, field)) in NAMES.iter().take(FIELDS).enumerate() {
            assert_eq!(*field as usize, at, "{name}");
            assert_eq!(field.name(), *name);
            assert_eq!(field.quoted(), format!("\"{name}\"").as_bytes());
            assert_eq!(Field::named(name.as_bytes()), Some((*field, true)));
        }
        assert_eq!(Field::named(b"model"), Some((Field::ModelRequested, false)));
        assert_eq!(Field::named(b"seq"), None);
    }
}
