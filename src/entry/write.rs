//! The body's members, group by group.

use super::{
    Encoder, Field, Members, fields,
    parts::{fingerprint, hmac, pseudonym},
};
use crate::{
    json::{self, Type, text},
    record::{Capture, Digest, Origin},
    redact::{
        Scope,
        config::{Content, Hash},
    },
};
use sha2::{Digest as _, Sha256};

/// Raw members on their way to `metadata`.
type Spill<'a> = Vec<json::Item<'a>>;

pub(super) fn name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a decimal integer.
pub(super) fn integer(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut left = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `"capture":"…"`, a leading comma included; nothing for a record as veritail wants it.
pub(super) fn capture(out: &mut Vec<u8>, capture: Capture) {
    if capture != Capture::Record {
        name(out, "capture");
        text::write(out, capture.name());
    }
}

/// `"origin":{…}`, a leading comma included.
pub(super) fn origin(out: &mut Vec<u8>, source: &str, origin: &Origin) {
    name(out, "origin");
    out.extend_from_slice(b"{\"source\":");
    text::write(out, source);
    match origin {
        Origin::File(span) => {
            name(out, "path");
            text::write(out, &span.path);
            for (key, value) in [
                ("dev", span.id.dev),
                ("inode", span.id.inode),
                ("start", span.start),
                ("end", span.end),
            ] {
                name(out, key);
                integer(out, value);
            }
            out.extend_from_slice(b",\"head\":\"");
            out.extend_from_slice(const_hex::encode(span.id.head).as_bytes());
            out.extend_from_slice(b"\",\"crc\":\"");
            out.extend_from_slice(const_hex::encode(span.crc.to_be_bytes()).as_bytes());
            out.push(b'"');
        }
        Origin::Peer { uid, gid, pid } => {
            name(out, "uid");
            integer(out, u64::from(*uid));
            name(out, "gid");
            integer(out, u64::from(*gid));
            if let Some(pid) = pid.and_then(|pid| u64::try_from(pid).ok()) {
                name(out, "pid");
                integer(out, pid);
            }
        }
        Origin::Stdin { line } => {
            name(out, "line");
            integer(out, *line);
        }
        Origin::Http { peer } => {
            name(out, "peer");
            text::write(out, &peer.to_string());
        }
    }
    out.push(b'}');
}

impl Encoder {
    fn note(&mut self, field: Field, why: &'static str) {
        // A witness owes nothing: what it leaves out (content, in Privacy Mode) is no defect.
        if why.is_empty() && self.capture == Capture::Broadcast {
            return;
        }
        self.degraded.push((field.name(), why));
    }

    /// Writes a raw scalar as a scrubbed JSON string; what is no scalar goes to `metadata`.
    fn scalar<'a>(
        &mut self,
        (field, scope): (Field, Scope),
        raw: &'a [u8],
        spill: &mut Spill<'a>,
        out: &mut Vec<u8>,
    ) {
        let policy = self.policy.clone();
        match Type::of(raw) {
            Type::String => {
                name(out, field.name());
                self.scrub.string(out, raw, Some(field.name()), (&policy.redactor, scope));
            }
            Type::Number | Type::Bool => {
                name(out, field.name());
                // Quoted, so that the member has one type; digits are scrubbed like any text.
                let mut text = Vec::with_capacity(raw.len() + 2);
                text.push(b'"');
                text.extend_from_slice(raw);
                text.push(b'"');
                self.scrub.string(out, &text, Some(field.name()), (&policy.redactor, scope));
            }
            _ => {
                self.note(field, "type");
                spill.push((field.quoted(), raw));
            }
        }
    }

    /// `"event_type":"…"`, the body's first member.
    pub(super) fn event_type<'a>(
        &mut self,
        members: &mut Members<'a>,
        spill: &mut Spill<'a>,
        out: &mut Vec<u8>,
    ) {
        let told = members.take(Field::EventType);
        if self.capture == Capture::Broadcast {
            out.extend_from_slice(b"\"event_type\":\"");
            out.extend_from_slice(fields::BROADCAST.as_bytes());
            out.push(b'"');
            return;
        }
        let fit = told
            .filter(|raw| Type::of(raw) == Type::String)
            .map(text::inner)
            .filter(|inner| std::str::from_utf8(inner).is_ok_and(fields::may_be_event_type));
        out.extend_from_slice(b"\"event_type\":\"");
        out.extend_from_slice(fit.unwrap_or(b"chat_completion"));
        out.push(b'"');
        if let (Some(raw), None) = (told, fit) {
            self.note(Field::EventType, "not_allowed");
            spill.push((Field::EventType.quoted(), raw));
        }
    }

    /// Who asked what of whom: ids, names, times.
    pub(super) fn identity<'a>(
        &mut self,
        members: &mut Members<'a>,
        spill: &mut Spill<'a>,
        out: &mut Vec<u8>,
    ) {
        self.id(members, spill, out);
        let texts = [
            (Field::Timestamp, true),
            (Field::GenerationId, true),
            (Field::UserId, true),
            (Field::SessionId, false),
            (Field::App, false),
            (Field::ModelRequested, true),
            (Field::ModelUsed, false),
            (Field::Provider, false),
        ];
        for (field, expected) in texts {
            let scope = fields::scope(field.name());
            match members.take(field) {
                Some(raw) if field == Field::UserId => self.user_id(raw, spill, out),
                Some(raw) => self.scalar((field, scope), raw, spill, out),
                None if expected => self.note(field, ""),
                None => {}
            }
        }
        if let Some(raw) = members.take(Field::ApiKey) {
            let mut key = String::new();
            text::unescape(raw, &mut key);
            name(out, Field::ApiKey.name());
            text::write(out, &fingerprint(&self.policy, key.as_bytes()));
        }
        if let Some(raw) = members.take(Field::ApiKeyName) {
            self.scalar((Field::ApiKeyName, Scope::Text), raw, spill, out);
        }
    }

    /// The application's id where it is a usable one, else ours (UUIDv7). An OpenRouter generation
    /// id given as `id` serves as both.
    fn id<'a>(&mut self, members: &mut Members<'a>, spill: &mut Spill<'a>, out: &mut Vec<u8>) {
        let told = members.take(Field::Id);
        let mut own = std::mem::take(&mut self.id);
        own.clear();
        name(out, Field::Id.name());
        let start = out.len();
        match told {
            Some(raw) if Type::of(raw) == Type::String && (3..=258).contains(&raw.len()) => {
                let policy = self.policy.clone();
                self.scrub.string(out, raw, Some("id"), (&policy.redactor, Scope::Identifier));
                if raw.starts_with(b"\"gen-")
                    && members.known[Field::GenerationId as usize].is_none()
                {
                    members.known[Field::GenerationId as usize] = Some(raw);
                }
            }
            Some(raw @ [b'0'..=b'9', ..]) if raw.len() <= 64 => {
                out.push(b'"');
                out.extend_from_slice(raw);
                out.push(b'"');
            }
            other => {
                if let Some(raw) = other {
                    self.note(Field::Id, "not_usable");
                    spill.push((b"\"id\"", raw));
                }
                let uuid = uuid::Uuid::now_v7();
                out.push(b'"');
                out.extend_from_slice(uuid.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
                out.push(b'"');
            }
        }
        text::unescape(&out[start..], &mut own);
        self.id = own;
    }

    /// A user id that is personal data as a whole (an e-mail address, say) becomes a keyed
    /// pseudonym, so that "who spent what" still has an answer.
    fn user_id<'a>(&mut self, raw: &'a [u8], spill: &mut Spill<'a>, out: &mut Vec<u8>) {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        if Type::of(raw) == Type::String {
            text::unescape(raw, &mut plain);
        }
        match pseudonym(&self.policy, &plain) {
            Some((rule, pseudonym)) => {
                name(out, Field::UserId.name());
                text::write(out, &pseudonym);
                self.scrub.count(rule);
            }
            None => self.scalar((Field::UserId, Scope::Text), raw, spill, out),
        }
        self.plain = plain;
    }

    /// Prompt and response, as the content policy wants them.
    pub(super) fn content<'a>(
        &mut self,
        members: &mut Members<'a>,
        spill: &mut Spill<'a>,
        out: &mut Vec<u8>,
    ) {
        let messages = members.take(Field::Messages);
        let prompt = members.take(Field::Prompt).or(messages);
        let response = members.take(Field::Response);
        if let (Some(prompt), Some(messages)) = (prompt, messages)
            && !std::ptr::eq(prompt, messages)
            && self.policy.content != Content::None
        {
            name(out, "messages_hash");
            self.content_hash(messages, out);
        }
        for (raw, hash) in [(prompt, Field::PromptHash), (response, Field::ResponseHash)] {
            let told = members.take(hash);
            match (raw, told) {
                (Some(raw), told) if self.policy.content != Content::None => {
                    name(out, hash.name());
                    let start = out.len();
                    self.content_hash(raw, out);
                    if let Some(told) = told
                        && !agrees(told, &out[start..])
                    {
                        self.note(hash, "mismatch");
                        spill.push((hash.quoted(), told));
                    }
                }
                (_, Some(told)) => self.scalar((hash, Scope::Identifier), told, spill, out),
                (None, None) if hash == Field::PromptHash => self.note(Field::Prompt, ""),
                _ => {}
            }
        }
        if self.policy.content == Content::Redacted {
            let policy = self.policy.clone();
            let messages = messages.filter(|m| prompt.is_none_or(|p| !std::ptr::eq(p, *m)));
            let is_messages = messages.is_none()
                && prompt.is_some_and(|p| matches!(Type::of(p), Type::Array | Type::Object));
            let prompt_name = if is_messages { "messages" } else { "prompt" };
            let kept = [(prompt, prompt_name), (messages, "messages"), (response, "response")];
            for (raw, key) in kept {
                if let Some(raw) = raw {
                    name(out, key);
                    self.scrub.value(out, raw, Some(key), (&policy.redactor, 0));
                }
            }
        }
    }

    /// The digest of a text's characters, or of the raw bytes of a value that is no text.
    fn content_hash(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        let inner = text::inner(raw);
        let bytes = if Type::of(raw) != Type::String {
            raw
        } else if memchr::memchr(b'\\', inner).is_none() {
            inner
        } else {
            text::unescape(inner, &mut plain);
            plain.as_bytes()
        };
        let (prefix, digest): (&[u8], Digest) = match self.policy.hash {
            Hash::Sha256 => (b"\"", Sha256::digest(bytes).into()),
            Hash::HmacSha256 => (b"\"hmac-sha256:", hmac(&self.policy.content_key, &[bytes])),
        };
        out.extend_from_slice(prefix);
        let mut hex = [0; 64];
        if const_hex::encode_to_slice(digest, &mut hex).is_ok() {
            out.extend_from_slice(&hex);
        }
        out.push(b'"');
        self.plain = plain;
    }

    /// Tokens, money, time. What `usage` knows serves where the record's own member is missing.
    pub(super) fn numbers<'a>(
        &mut self,
        members: &mut Members<'a>,
        spill: &mut Spill<'a>,
        out: &mut Vec<u8>,
    ) {
        let usage = members.take(Field::Usage);
        let inside = |key: &[u8]| {
            let object = usage.filter(|raw| Type::of(raw) == Type::Object)?;
            json::members(object).flatten().filter(|(name, _)| text::inner(name) == key).last()
        };
        for (field, in_usage, whole) in [
            (Field::PromptTokens, &b"prompt_tokens"[..], true),
            (Field::CompletionTokens, b"completion_tokens", true),
            (Field::TotalCost, b"cost", false),
            (Field::LatencyMs, b"", false),
        ] {
            let own = members.take(field);
            let fit = |raw: &[u8]| {
                Type::of(raw) == Type::Number
                    && super::scrub::is_safe_number(raw)
                    && (!whole || raw.iter().all(u8::is_ascii_digit))
            };
            let value = own.or_else(|| inside(in_usage).map(|(_, value)| value)).filter(|r| fit(r));
            if let Some(raw) = value {
                name(out, field.name());
                out.extend_from_slice(raw);
            } else if let Some(raw) = own {
                self.note(field, "type");
                spill.push((field.quoted(), raw));
            }
            if field == Field::TotalCost {
                name(out, "cost_source");
                text::write(
                    out,
                    match (value, self.capture) {
                        (None, _) => "none",
                        (Some(_), Capture::Broadcast) => Capture::Broadcast.name(),
                        (Some(_), _) => "response",
                    },
                );
            }
        }
        match usage {
            Some(raw) if Type::of(raw) == Type::Object => {
                let policy = self.policy.clone();
                name(out, Field::Usage.name());
                self.scrub.value(out, raw, Some("usage"), (&policy.redactor, 0));
            }
            Some(raw) => {
                self.note(Field::Usage, "type");
                spill.push((Field::Usage.quoted(), raw));
            }
            None => {}
        }
    }

    /// How the call ended.
    pub(super) fn outcome<'a>(
        &mut self,
        members: &mut Members<'a>,
        spill: &mut Spill<'a>,
        out: &mut Vec<u8>,
    ) {
        match members.take(Field::Status) {
            Some(raw) => {
                let known = [&b"success"[..], b"error", b"timeout", b"cancelled"];
                if !known.contains(&text::inner(raw)) {
                    self.note(Field::Status, "unknown");
                }
                self.scalar((Field::Status, Scope::Text), raw, spill, out);
            }
            None => self.note(Field::Status, ""),
        }
        for field in [Field::ErrorType, Field::ErrorCode] {
            if let Some(raw) = members.take(field) {
                self.scalar((field, Scope::Text), raw, spill, out);
            }
        }
    }

    /// `"metadata":{…}`: the record's own, the unknown members, and what did not fit its field.
    pub(super) fn metadata<'a>(
        &mut self,
        members: &mut Members<'a>,
        spill: &[json::Item<'a>],
        out: &mut Vec<u8>,
    ) {
        let mut all: Vec<json::Item<'a>> = Vec::new();
        match members.take(Field::Metadata) {
            Some(raw) if Type::of(raw) == Type::Object => {
                all.extend(json::members(raw).flatten());
            }
            Some(raw) => {
                self.note(Field::Metadata, "type");
                all.push((b"\"value\"", raw));
            }
            None => {}
        }
        let own = all.len();
        all.extend_from_slice(&members.unknown);
        all.extend_from_slice(spill);
        if all.is_empty() {
            return;
        }
        // An unknown member must not displace one that the application put under `metadata`.
        let renamed: Vec<(usize, Vec<u8>)> = (own..all.len())
            .filter_map(|at| {
                let (raw, _) = all.get(at)?;
                let taken = all.get(..own)?.iter().any(|(other, _)| other == raw);
                taken.then(|| (at, [b"\"_", text::inner(raw), b"\""].concat()))
            })
            .collect();
        let mut all: Vec<json::Item<'_>> = all;
        for (at, new) in &renamed {
            all[*at].0 = new;
        }
        let policy = self.policy.clone();
        name(out, Field::Metadata.name());
        out.push(b'{');
        self.scrub.members(out, &all, (&policy.redactor, 0));
        out.push(b'}');
    }
}

/// Whether a digest that the application told is ours, or the first 16 or more digits of it.
fn agrees(told: &[u8], ours: &[u8]) -> bool {
    let (told, ours) = (text::inner(told), text::inner(ours));
    let ours = ours.strip_prefix(b"hmac-sha256:").unwrap_or(ours);
    told.len() >= 16 && ours.starts_with(&told.to_ascii_lowercase())
}
