//! What one line of the ledger says of a call to OpenRouter. Pure, and lenient: whether the line is
//! genuine is not asked here.

use super::{compare::Figures, day::Day, money};
use crate::{
    clock::Micros,
    entry::fields::may_be_event_type,
    json::{self, Type, text},
    record::is_generation_id,
};
use memchr::memmem;

/// What kind of entry tells of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the application reported.
    Call,
    /// What the generation endpoint answered.
    Answer,
    /// What Broadcast told.
    Broadcast,
}

/// Which call an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The kind of entry.
    pub(super) kind: Kind,
    /// OpenRouter's id of the call; `None` for a call that has none.
    pub(super) id: Option<String>,
    /// Whether it has an id that is somebody else's: the call did not go to OpenRouter.
    pub(super) foreign: bool,
    /// When OpenRouter made the call, as well as can be told.
    pub(super) at: Micros,
    /// Whether that is more than the time of sealing.
    pub(super) dated: bool,
}

/// Tells which call a line is about; `None` for a line that is about none.
pub(super) fn identify(line: &[u8]) -> Option<Identity> {
    let kind = match event_type(line)? {
        "generation" => Kind::Answer,
        "broadcast" => Kind::Broadcast,
        told if may_be_event_type(told) => Kind::Call,
        // The ledger's own.
        _ => return None,
    };
    let (mut id, mut timestamp, mut sealed, mut own) = (None, None, None, None);
    for (name, value) in json::members(line).map_while(Result::ok) {
        match text::inner(name) {
            b"generation_id" => id = plain(value),
            b"timestamp" => timestamp = plain(value),
            b"recorded_at" => sealed = plain(value),
            b"created_at" => own = plain(value),
            _ => {}
        }
    }
    let foreign = id.as_deref().is_some_and(|id| !is_generation_id(id));
    id = id.filter(|_| !foreign);
    let instant = |text: Option<String>| {
        text?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
    };
    let told = id.as_deref().and_then(second_of).or_else(|| instant(timestamp));
    // An answer that repeats no time has OpenRouter's own.
    let told = told.or_else(|| if kind == Kind::Call { None } else { instant(own) });
    let at = told.or_else(|| instant(sealed))?;
    if kind != Kind::Call && id.is_none() {
        return None;
    }
    Some(Identity { kind, id, foreign, at, dated: told.is_some() })
}

/// The entry's kind, which stands at a fixed place in the envelope, before anything a stranger said.
fn event_type(line: &[u8]) -> Option<&str> {
    const NAME: &[u8] = b"\"event_type\":\"";
    let start = memmem::find(line, NAME)? + NAME.len();
    let rest = line.get(start..)?;
    std::str::from_utf8(rest.get(..memchr::memchr(b'"', rest)?)?).ok()
}

/// The day that an entry says the daemon's own timer compared.
pub(super) fn compared_by_timer(line: &[u8]) -> Option<Day> {
    if event_type(line) != Some("reconciliation")
        || member(line, "asked_by").map(text::inner) != Some(b"timer")
    {
        return None;
    }
    Day::parse(&plain(member(line, "day")?)?).ok()
}

/// The sequence number of a `reconciliation` entry.
pub(super) fn reconciliation(line: &[u8]) -> Option<u64> {
    if event_type(line) != Some("reconciliation") {
        return None;
    }
    count(member(line, "seq")?)
}

/// When a line was sealed.
pub(super) fn sealed_at(line: &[u8]) -> Option<Micros> {
    let at: jiff::Timestamp = plain(member(line, "recorded_at")?)?.parse().ok()?;
    Some(at.as_microsecond())
}

/// The instant in a generation id of the modern forms `gen-<unix>-<20>` and `gen-<kind>-<unix>-<20>`.
pub(super) fn second_of(id: &str) -> Option<Micros> {
    let seconds = id.split('-').skip(1).take(2).find(|part| {
        part.len() == 10 && part.bytes().all(|b| b.is_ascii_digit()) && !part.starts_with('0')
    })?;
    seconds.parse::<Micros>().ok()?.checked_mul(1_000_000)
}

/// Model and provider of an entry, and what it says was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) model: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) figures: Figures,
}

/// What a call or an answer says was used: native token counts, which are what the application is
/// given too, and the charge, which for calls on the caller's own provider key is apart from what
/// that provider charges.
pub(super) fn used(line: &[u8], kind: Kind) -> Used {
    let mut found = Found::default();
    for (name, value) in json::members(line).map_while(Result::ok) {
        found.member(text::inner(name), value);
    }
    let usage = found.usage.filter(|usage| Type::of(usage) == Type::Object);
    let within = |name: &str| usage.and_then(|usage| member(usage, name));
    let (prompt, completion) = match kind {
        Kind::Answer => found.native,
        _ => found.tokens,
    };
    let prompt = prompt.or_else(|| within("prompt_tokens")).and_then(count);
    let completion = completion.or_else(|| within("completion_tokens")).and_then(count);
    let usd = found.total_cost.or_else(|| within("cost")).and_then(money::parse);
    let byok = found.is_byok.or_else(|| within("is_byok")) == Some(b"true");
    let upstream = found.upstream.or_else(|| {
        within("cost_details").and_then(|details| member(details, "upstream_inference_cost"))
    });
    let byok_usd = if byok { upstream.and_then(money::parse) } else { None };
    Used {
        model: found.permaslug.or(found.model_used).or(found.model_requested),
        provider: found.provider,
        figures: Figures {
            requests: 1,
            prompt_tokens: prompt.unwrap_or(0),
            completion_tokens: completion.unwrap_or(0),
            usd: usd.unwrap_or_default(),
            byok_usd: byok_usd.unwrap_or_default(),
            without_tokens: u64::from(prompt.is_none() || completion.is_none()),
            without_usd: u64::from(usd.is_none() || (byok && byok_usd.is_none())),
        },
    }
}

/// Raw members that say what was used.
#[derive(Default)]
struct Found<'a> {
    model_requested: Option<String>,
    model_used: Option<String>,
    permaslug: Option<String>,
    provider: Option<String>,
    tokens: (Option<&'a [u8]>, Option<&'a [u8]>),
    native: (Option<&'a [u8]>, Option<&'a [u8]>),
    total_cost: Option<&'a [u8]>,
    usage: Option<&'a [u8]>,
    is_byok: Option<&'a [u8]>,
    upstream: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn member(&mut self, name: &[u8], value: &'a [u8]) {
        if value == b"null" {
            return;
        }
        match name {
            b"model_requested" => self.model_requested = plain(value),
            b"model_used" => self.model_used = plain(value),
            b"model_permaslug" => self.permaslug = plain(value),
            b"provider" => self.provider = plain(value),
            b"prompt_tokens" => self.tokens.0 = Some(value),
            b"completion_tokens" => self.tokens.1 = Some(value),
            b"native_tokens_prompt" => self.native.0 = Some(value),
            b"native_tokens_completion" => self.native.1 = Some(value),
            b"total_cost" => self.total_cost = Some(value),
            b"usage" => self.usage = Some(value),
            b"is_byok" => self.is_byok = Some(value),
            b"upstream_inference_cost" => self.upstream = Some(value),
            _ => {}
        }
    }
}

/// A member of a raw object, names compared as they are spelled.
fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut members = json::members(object).map_while(Result::ok);
    members.find(|(raw, _)| text::inner(raw) == name.as_bytes()).map(|(_, value)| value)
}

/// A whole number, as one or as a text that holds one.
pub(super) fn count(raw: &[u8]) -> Option<u64> {
    std::str::from_utf8(text::inner(raw)).ok()?.parse().ok()
}

/// A text that is not empty, out of its escapes.
fn plain(raw: &[u8]) -> Option<String> {
    let mut out = String::new();
    if Type::of(raw) == Type::String {
        text::unescape(raw, &mut out);
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    fn line(body: &str) -> Vec<u8> {
        format!(
            r#"{{"v":1,"stream":"s","seq":1,"prev_hash":"","recorded_at":"2026-11-22T00:00:09.000000Z","key_id":"k",{body},"chain_hash":"","signature":""}}"#
        )
        .into_bytes()
    }

    #[test]
    fn the_second_is_in_the_id() {
        let at = |id| second_of(id).map(|at| at / 1_000_000);
        assert_eq!(at("gen-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw"), Some(1_790_000_000));
        assert_eq!(at("gen-batch-1790000000-Qz7Kp2Lm9Xc4Vb8Nt1Rw"), Some(1_790_000_000));
        for old in ["gen-3bhGkxlo4XFrqiabUM7NDtwDzWwG", "gen-abc123", "gen-0000000000-a", "gen-"] {
            assert_eq!(at(old), None, "{old}");
        }
    }

    #[test]
    fn a_call_is_dated_by_its_id_then_by_its_record_then_by_its_sealing() {
        let of = |body: &str| identify(&line(body)).unwrap();
        let by_id = of(
            r#""event_type":"chat_completion","timestamp":"2026-11-22T00:00:03Z","generation_id":"gen-1795305599-aaaaaaaaaaaaaaaaaaaa""#,
        );
        assert_eq!((by_id.at, by_id.dated), (1_795_305_599_000_000, true));
        let by_record = of(
            r#""event_type":"chat_completion","timestamp":"2026-11-22T01:00:00+01:00","generation_id":"gen-legacylegacy""#,
        );
        assert_eq!((by_record.at, by_record.dated), (1_795_305_600_000_000, true));
        let by_sealing = of(r#""event_type":"tool","timestamp":"noon""#);
        assert_eq!((by_sealing.at, by_sealing.dated), (1_795_305_609_000_000, false));
        assert_eq!((by_sealing.kind, by_sealing.id), (Kind::Call, None));
        let elsewhere =
            of(r#""event_type":"chat_completion","generation_id":"chatcmpl-1795305599""#);
        assert_eq!((elsewhere.id, elsewhere.foreign), (None, true));
        let own = of(
            r#""event_type":"generation","generation_id":"gen-legacylegacy","created_at":"2026-11-21T10:00:00.5Z""#,
        );
        assert_eq!((own.kind, own.dated, own.at % 1_000_000), (Kind::Answer, true, 500_000));
    }

    #[test]
    fn what_the_ledger_says_of_itself_is_no_call() {
        for own in ["checkpoint", "quarantine", "generation_unresolved", "reconciliation"] {
            let entry = line(&format!(r#""event_type":"{own}","generation_id":"gen-abc123""#));
            assert_eq!(identify(&entry), None, "{own}");
        }
        assert_eq!(identify(&line(r#""event_type":"broadcast""#)), None);
        assert_eq!(identify(b"torn"), None);
    }

    #[test]
    fn a_call_s_usage_is_read_as_it_was_reported() {
        let entry = line(
            r#""event_type":"chat_completion","model_requested":"openai/gpt-4o:nitro","model_used":"openai/gpt-4o","provider":"OpenAI","prompt_tokens":16,"completion_tokens":4,"total_cost":1.48e-05,"usage":{"cost":1.48e-05,"is_byok":true,"cost_details":{"upstream_inference_cost":0.5}}"#,
        );
        let used = used(&entry, Kind::Call);
        assert_eq!(used.model.as_deref(), Some("openai/gpt-4o"));
        assert_eq!(used.provider.as_deref(), Some("OpenAI"));
        let figures = Figures {
            requests: 1,
            prompt_tokens: 16,
            completion_tokens: 4,
            usd: Decimal::new(148, 7),
            byok_usd: Decimal::new(5, 1),
            ..Figures::default()
        };
        assert_eq!(used.figures, figures);
    }

    #[test]
    fn upstream_cost_counts_only_on_a_key_of_one_s_own() {
        let entry = line(
            r#""event_type":"x","usage":{"prompt_tokens":1,"completion_tokens":2,"cost":0.25,"is_byok":false,"cost_details":{"upstream_inference_cost":0.25}}"#,
        );
        let figures = used(&entry, Kind::Call).figures;
        assert_eq!((figures.prompt_tokens, figures.completion_tokens), (1, 2));
        assert_eq!((figures.usd, figures.byok_usd), (Decimal::new(25, 2), Decimal::ZERO));
        assert_eq!((figures.without_tokens, figures.without_usd), (0, 0));
    }

    #[test]
    fn an_answer_counts_native_tokens_and_its_permaslug() {
        let entry = line(
            r#""event_type":"generation","model_used":"a/b","model_permaslug":"a/b-20260101","provider":"P","prompt_tokens":1,"completion_tokens":1,"native_tokens_prompt":10,"native_tokens_completion":20,"total_cost":0,"is_byok":true,"upstream_inference_cost":0.00197"#,
        );
        let used = used(&entry, Kind::Answer);
        assert_eq!(used.model.as_deref(), Some("a/b-20260101"));
        assert_eq!((used.figures.prompt_tokens, used.figures.completion_tokens), (10, 20));
        assert_eq!(used.figures.byok_usd, Decimal::new(197, 5));
    }

    #[test]
    fn what_is_not_said_is_told_as_unknown() {
        let used = used(&line(r#""event_type":"x","status":"cancelled""#), Kind::Call);
        assert_eq!((used.figures.without_tokens, used.figures.without_usd), (1, 1));
        assert_eq!((used.figures.requests, used.model), (1, None));
    }
}
