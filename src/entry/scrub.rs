//! Writes what an application supplied, scrubbed: every text goes through the redactor, numbers
//! keep their digits, nested objects lose duplicate names and bottomless depth.

use crate::{
    json::{self, Type, text},
    redact::{Hit, Redactor, RuleId, Scope},
};

/// Nesting kept below a record's top level; what is deeper is replaced by [`TOO_DEEP`].
const MAX_DEPTH: usize = 32;
const TOO_DEEP: &[u8] = b"\"[TOO_DEEP]\"";
/// Integers beyond ±(2^53−1) lose digits in most JSON readers, so they are written as texts.
const MAX_INTEGER_DIGITS: usize = 16;
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The scrubbing writer and its reusable memory.
#[derive(Debug)]
pub(super) struct Scrubber {
    counts: Vec<u32>,
    hits: Vec<Hit>,
    plain: String,
    /// Something had to be changed for the entry to stay readable by everybody.
    pub degraded: Vec<&'static str>,
}

impl Scrubber {
    /// A writer for the rules of `redactor`.
    #[must_use]
    pub(super) fn new(redactor: &Redactor) -> Self {
        Scrubber {
            counts: vec![0; redactor.rules()],
            hits: Vec::new(),
            plain: String::new(),
            degraded: Vec::new(),
        }
    }

    /// Forgets the last record.
    pub(super) fn start(&mut self) {
        self.counts.fill(0);
        self.degraded.clear();
    }

    /// How often each rule fired since [`Scrubber::start`], by its number.
    #[must_use]
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Counts a hit that the caller replaced itself.
    pub(super) fn count(&mut self, rule: RuleId) {
        bump(&mut self.counts, rule);
    }

    fn degrade(&mut self, why: &'static str) {
        if !self.degraded.contains(&why) {
            self.degraded.push(why);
        }
    }

    /// Writes a raw string scrubbed, as a JSON string. `key` is the name it stands under.
    pub(super) fn string(
        &mut self,
        out: &mut Vec<u8>,
        raw: &[u8],
        key: Option<&str>,
        (redactor, scope): (&Redactor, Scope),
    ) {
        let inner = text::inner(raw);
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        // The line was checked to be UTF-8, so this fails only where an escape needs decoding.
        let direct = (memchr::memchr(b'\\', inner).is_none())
            .then(|| std::str::from_utf8(inner).ok())
            .flatten();
        let mut as_it_is = true;
        let text = direct.unwrap_or_else(|| {
            if text::unescape(inner, &mut plain) == text::Unescaped::LoneSurrogate {
                self.degrade("lone_surrogate");
                as_it_is = false;
            }
            &plain
        });
        redactor.scan(text, key, scope, &mut self.hits);
        if !self.hits.is_empty() {
            out.push(b'"');
            let mut from = 0;
            for hit in &self.hits {
                text::write_inner(out, text.get(from..hit.start).unwrap_or_default());
                text::write_inner(out, redactor.label(hit.rule));
                bump(&mut self.counts, hit.rule);
                from = hit.end;
            }
            text::write_inner(out, text.get(from..).unwrap_or_default());
            out.push(b'"');
        } else if as_it_is && text::may_stand(inner) {
            out.push(b'"');
            out.extend_from_slice(inner);
            out.push(b'"');
        } else {
            text::write(out, text);
        }
        self.plain = plain;
    }

    /// Writes a raw value of any type scrubbed.
    pub(super) fn value(
        &mut self,
        out: &mut Vec<u8>,
        raw: &[u8],
        key: Option<&str>,
        (redactor, depth): (&Redactor, usize),
    ) {
        match Type::of(raw) {
            Type::String => self.string(out, raw, key, (redactor, Scope::Text)),
            Type::Number => self.number(out, raw),
            Type::Bool | Type::Null => out.extend_from_slice(raw),
            Type::Object | Type::Array if depth == MAX_DEPTH => {
                self.degrade("too_deep");
                out.extend_from_slice(TOO_DEEP);
            }
            Type::Array => {
                out.push(b'[');
                for (at, (_, element)) in json::items(raw).flatten().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.value(out, element, key, (redactor, depth + 1));
                }
                out.push(b']');
            }
            Type::Object => {
                out.push(b'{');
                let members: Vec<json::Item<'_>> = json::items(raw).flatten().collect();
                self.members(out, &members, (redactor, depth));
                out.push(b'}');
            }
        }
    }

    /// Writes members scrubbed, commas between them, names scrubbed too. Of members with one name
    /// the last one stays, as nearly every JSON reader would have it.
    pub(super) fn members(
        &mut self,
        out: &mut Vec<u8>,
        members: &[json::Item<'_>],
        (redactor, depth): (&Redactor, usize),
    ) {
        // Two names may become one only by scrubbing or unescaping; so compare what is written.
        let mut written: Vec<(usize, usize, usize)> = Vec::with_capacity(members.len());
        let mut name = Vec::new();
        let mut seen = std::collections::HashMap::new();
        for (raw_name, value) in members {
            name.clear();
            self.string(&mut name, raw_name, None, (redactor, Scope::Text));
            let mut plain = String::new();
            text::unescape(&name, &mut plain);
            let start = out.len();
            out.extend_from_slice(&name);
            out.push(b':');
            self.value(out, value, Some(&plain), (redactor, depth + 1));
            out.push(b',');
            written.push((start, out.len(), 0));
            if let Some(earlier) = seen.insert(plain, written.len() - 1)
                && let Some(slot) = written.get_mut(earlier)
            {
                slot.2 = 1;
                self.degrade("duplicate_member");
            }
        }
        for (start, end, dropped) in written.iter().rev() {
            if *dropped == 1 {
                out.drain(*start..*end);
            }
        }
        if !written.is_empty() {
            out.pop();
        }
    }

    /// Writes a number with the digits it has; an integer that readers would round, as a text.
    pub(super) fn number(&mut self, out: &mut Vec<u8>, raw: &[u8]) {
        if is_safe_number(raw) {
            out.extend_from_slice(raw);
        } else {
            self.degrade("number_as_text");
            out.push(b'"');
            out.extend_from_slice(raw);
            out.push(b'"');
        }
    }
}

/// Whether every JSON reader takes a raw number for what it is: an integer within ±(2^53−1), or a
/// fraction that a double can hold.
#[must_use]
pub(super) fn is_safe_number(raw: &[u8]) -> bool {
    let digits = raw.strip_prefix(b"-").unwrap_or(raw);
    let text = std::str::from_utf8(digits).unwrap_or_default();
    if !digits.iter().all(u8::is_ascii_digit) {
        // Without an exponent, a number that is too large for a double is far longer than this.
        let small = digits.len() < 300 && !digits.iter().any(|b| matches!(b, b'e' | b'E'));
        return small || text.parse::<f64>().is_ok_and(f64::is_finite);
    }
    digits.len() < MAX_INTEGER_DIGITS || text.parse::<u64>().is_ok_and(|n| n <= MAX_INTEGER)
}

fn bump(counts: &mut [u32], rule: RuleId) {
    if let Some(count) = counts.get_mut(rule.index()) {
        *count += 1;
    }
}
