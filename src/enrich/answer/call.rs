//! The call as its first entry tells it.

use crate::{
    entry::fields,
    json::{self, Type, text},
    record::is_generation_id,
};

/// What a call's first entry says of it: what identifies the call, and what is compared with the
/// answer. Texts were scrubbed when they were sealed; numbers keep their digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the entry's member of that name")]
pub struct Call {
    pub id: String,
    /// Sequence number of the entry.
    pub seq: u64,
    pub generation_id: String,
    pub event_type: String,
    pub timestamp: Option<String>,
    pub user_id: Option<String>,
    pub session_id: Option<String>,
    pub app: Option<String>,
    pub model_requested: Option<String>,
    pub model_used: Option<String>,
    pub provider: Option<String>,
    pub status: Option<String>,
    /// Fingerprint of the key that made the call.
    pub api_key: Option<String>,
    /// Name of that key, where the application told one.
    pub api_key_name: Option<String>,
    /// Name of the source that took the record in.
    pub source: Option<String>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    /// Digits of `usage.cost`, or of `total_cost` where there is no usage.
    pub usage_cost: Option<String>,
    pub usage: Option<Usage>,
}

/// The details of a response's `usage` that the generation endpoint knows too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `usage.prompt_tokens_details.cached_tokens`
    pub cached_tokens: Option<u64>,
    /// `usage.completion_tokens_details.reasoning_tokens`
    pub reasoning_tokens: Option<u64>,
    /// `usage.is_byok`
    pub is_byok: Option<bool>,
}

impl Call {
    /// Reads the bytes of a sealed entry (LF excluded). `None` when it is no call (a control entry,
    /// an answer) or a call that the endpoint cannot know: one without a generation id.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Call> {
        let mut call = Call::default();
        let mut total_cost = None;
        for item in json::members(line) {
            let (name, raw) = item.ok()?;
            match text::inner(name) {
                b"seq" => call.seq = integer(raw)?,
                b"id" => call.id = plain(raw)?,
                b"generation_id" => call.generation_id = plain(raw)?,
                b"event_type" => call.event_type = plain(raw)?,
                b"timestamp" => call.timestamp = plain(raw),
                b"user_id" => call.user_id = plain(raw),
                b"session_id" => call.session_id = plain(raw),
                b"app" => call.app = plain(raw),
                b"model_requested" => call.model_requested = plain(raw),
                b"model_used" => call.model_used = plain(raw),
                b"provider" => call.provider = plain(raw),
                b"status" => call.status = plain(raw),
                b"api_key" => call.api_key = plain(raw),
                b"api_key_name" => call.api_key_name = plain(raw),
                b"origin" => call.source = member(raw, "source").and_then(plain),
                b"prompt_tokens" => call.prompt_tokens = integer(raw),
                b"completion_tokens" => call.completion_tokens = integer(raw),
                b"total_cost" => total_cost = digits(raw),
                b"usage" => {
                    call.usage_cost = member(raw, "cost").and_then(digits);
                    call.usage = Some(Usage::read(raw));
                }
                _ => {}
            }
        }
        call.usage_cost = call.usage_cost.or(total_cost);
        let known = is_generation_id(&call.generation_id);
        (known && !call.id.is_empty() && fields::may_be_event_type(&call.event_type))
            .then_some(call)
    }
}

impl Usage {
    fn read(usage: &[u8]) -> Usage {
        let inside = |group: &str, name: &str| member(member(usage, group)?, name);
        Usage {
            cached_tokens: inside("prompt_tokens_details", "cached_tokens").and_then(integer),
            reasoning_tokens: inside("completion_tokens_details", "reasoning_tokens")
                .and_then(integer),
            is_byok: member(usage, "is_byok").and_then(boolean),
        }
    }
}

/// The last member of that name in a raw object.
pub(super) fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    (Type::of(object) == Type::Object).then_some(())?;
    let named = |raw: &[u8]| text::inner(raw) == name.as_bytes();
    json::members(object).flatten().filter(|(raw, _)| named(raw)).last().map(|(_, value)| value)
}

/// The characters of a raw string.
pub(super) fn plain(raw: &[u8]) -> Option<String> {
    (Type::of(raw) == Type::String).then(|| {
        let mut out = String::new();
        text::unescape(raw, &mut out);
        out
    })
}

/// A raw integer that is not negative.
pub(super) fn integer(raw: &[u8]) -> Option<u64> {
    raw.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(raw).ok()?.parse().ok())?
}

pub(super) fn boolean(raw: &[u8]) -> Option<bool> {
    match raw {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// The digits of a raw number.
fn digits(raw: &[u8]) -> Option<String> {
    (Type::of(raw) == Type::Number).then(|| String::from_utf8_lossy(raw).into_owned())
}
