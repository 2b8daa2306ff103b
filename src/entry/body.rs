//! Writes the body of an entry about a call that no record gave: what somebody else answered, with
//! the same care for texts as a record gets. Pure.

use super::{Policy, parts, scrub, scrub::Scrubber, write};
use crate::{
    json::{self, Type, text},
    redact::Scope,
};

/// A body under way. Members stand in the order in which they are given; the caller gives none
/// twice.
#[derive(Debug)]
pub struct Body<'p> {
    policy: &'p Policy,
    scrub: Scrubber,
    degraded: Vec<(String, &'static str)>,
    out: Vec<u8>,
}

impl<'p> Body<'p> {
    /// Starts a body. `identifiers` are the names of members, at any depth, whose texts are ids and
    /// not what people wrote.
    #[must_use]
    pub fn new(
        policy: &'p Policy,
        event_type: &str,
        identifiers: &'static [&'static str],
    ) -> Body<'p> {
        let mut scrub = Scrubber::new(&policy.redactor);
        scrub.identifiers = identifiers;
        let mut out = b"\"event_type\":".to_vec();
        text::write(&mut out, event_type);
        Body { policy, scrub, degraded: Vec::new(), out }
    }

    /// A text that needs no scrubbing: one of our own, or one that was sealed before.
    pub fn sealed(&mut self, name: &str, plain: &str) {
        write::name(&mut self.out, name);
        text::write(&mut self.out, plain);
    }

    /// An integer.
    pub fn integer(&mut self, name: &str, value: u64) {
        write::name(&mut self.out, name);
        write::integer(&mut self.out, value);
    }

    /// JSON of our own making, as it is.
    pub fn json(&mut self, name: &str, value: &serde_json::Value) {
        write::name(&mut self.out, name);
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    /// A raw number with the digits it has. `false`, and nothing written, when `raw` is no number or
    /// one that most readers would round.
    #[must_use]
    pub fn number(&mut self, name: &str, raw: &[u8]) -> bool {
        let fits = Type::of(raw) == Type::Number && scrub::is_safe_number(raw);
        if fits {
            write::name(&mut self.out, name);
            self.out.extend_from_slice(raw);
        }
        fits
    }

    /// A raw `true` or `false`. `false`, and nothing written, when `raw` is neither.
    #[must_use]
    pub fn flag(&mut self, name: &str, raw: &[u8]) -> bool {
        let fits = Type::of(raw) == Type::Bool;
        if fits {
            write::name(&mut self.out, name);
            self.out.extend_from_slice(raw);
        }
        fits
    }

    /// A raw text, scrubbed. `false`, and nothing written, when `raw` is no text.
    #[must_use]
    pub fn text(&mut self, name: &str, raw: &[u8], scope: Scope) -> bool {
        let fits = Type::of(raw) == Type::String;
        if fits {
            write::name(&mut self.out, name);
            self.scrub.string(&mut self.out, raw, Some(name), (&self.policy.redactor, scope));
        }
        fits
    }

    /// A raw value of any type, scrubbed.
    pub fn value(&mut self, name: &str, raw: &[u8]) {
        write::name(&mut self.out, name);
        self.scrub.value(&mut self.out, raw, Some(name), (&self.policy.redactor, 0));
    }

    /// An object of raw members, scrubbed. `user` is a raw user's name for the member of that name,
    /// which is treated as a record's `user_id` is: a whole e-mail address becomes its pseudonym.
    pub fn object(&mut self, name: &str, members: &[json::Item<'_>], user: Option<(&str, &[u8])>) {
        write::name(&mut self.out, name);
        self.out.push(b'{');
        if let Some((key, raw)) = user {
            text::write(&mut self.out, key);
            self.out.push(b':');
            self.user(key, raw);
            if !members.is_empty() {
                self.out.push(b',');
            }
        }
        self.scrub.members(&mut self.out, members, (&self.policy.redactor, 0));
        self.out.push(b'}');
    }

    fn user(&mut self, key: &str, raw: &[u8]) {
        let mut plain = String::new();
        if Type::of(raw) == Type::String {
            text::unescape(raw, &mut plain);
        }
        match parts::pseudonym(self.policy, &plain) {
            Some((rule, pseudonym)) => {
                text::write(&mut self.out, &pseudonym);
                self.scrub.count(rule);
            }
            None => self.scrub.value(&mut self.out, raw, Some(key), (&self.policy.redactor, 0)),
        }
    }

    /// Notes that a member is missing (`why` empty) or odd. `name` must be one of our own names.
    pub fn degraded(&mut self, name: &str, why: &'static str) {
        self.degraded.push((name.to_owned(), why));
    }

    /// Ends the body: what was odd, what was scrubbed, under which policy.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let own = self.degraded.iter().map(|(name, why)| (name.as_str(), *why));
        let odd = own.chain(self.scrub.degraded.iter().map(|why| (*why, "")));
        parts::degraded(&mut self.out, odd);
        parts::redactions(&mut self.out, self.policy, self.scrub.counts());
        self.out
    }
}
