//! A record's bytes → an entry's body: known fields in a fixed order, texts scrubbed, content kept
//! as the policy says, the rest under `metadata`, what is missing or odd marked in `degraded`.
//! Pure: no I/O, no clock. Nothing of a refused record gets out but its digest and length.
//!
//! A body is the entry from `"event_type"` on, without braces; the ledger puts the envelope before
//! it and the seal behind it.

pub mod body;
pub mod fields;
mod parts;
mod scrub;
mod write;

pub use parts::fingerprint;

use crate::{
    json::{self, text},
    record::{Capture, Digest, Origin},
    redact::{
        Redactor,
        config::{Content, Hash},
    },
};
use fields::{FIELDS, Field};
use scrub::Scrubber;
use std::sync::{Arc, PoisonError, RwLock};

/// Why a record is refused. Never quotes the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Bytes that are not UTF-8, from this offset on.
    #[error("not UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// Not one JSON value.
    #[error("{0}")]
    NotJson(json::Error),
    /// JSON, but not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// veritail itself failed on it.
    #[error("internal failure while redacting")]
    Internal,
}

impl Refusal {
    /// A stable word for counters and for the `reason` of a quarantine entry.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::NotUtf8(_) => "not_utf8",
            Refusal::NotJson(_) => "not_json",
            Refusal::NotAnObject => "not_an_object",
            Refusal::Internal => "internal",
        }
    }
}

/// What is kept, and under which keys digests are made.
#[derive(Debug)]
pub struct Policy {
    /// Finds what must not be kept.
    pub redactor: Redactor,
    /// What is kept of prompts and responses.
    pub content: Content,
    /// How their digest is made.
    pub hash: Hash,
    /// Key of content digests under [`Hash::HmacSha256`].
    pub content_key: Digest,
    /// Key of the fingerprints that stand for API keys and personal user ids.
    pub fingerprint_key: Digest,
    /// First 16 hex digits of the digest of all this; sealed into every entry.
    pub id: String,
}

impl Policy {
    /// Puts the policy together. `master` is the ledger's MAC master: the keys for digests and
    /// fingerprints are derived from it, so that one ledger's fingerprints can be joined.
    #[must_use]
    pub fn new(redactor: Redactor, (content, hash): (Content, Hash), master: &Digest) -> Self {
        let id = const_hex::encode(redactor.policy().get(..8).unwrap_or_default());
        Policy {
            redactor,
            content,
            hash,
            content_key: parts::hmac(master, &[b"content\n"]),
            fingerprint_key: parts::hmac(master, &[b"fingerprint\n"]),
            id,
        }
    }
}

/// The policy in force, shared by all sources; a reload puts another in its place.
#[derive(Clone, Debug)]
pub struct Policies(Arc<RwLock<Arc<Policy>>>);

impl Policies {
    /// Starts with `policy`.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Policies(Arc::new(RwLock::new(Arc::new(policy))))
    }

    /// The policy in force.
    #[must_use]
    pub fn get(&self) -> Arc<Policy> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another policy in force.
    pub fn set(&self, policy: Arc<Policy>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }
}

/// One record's raw members, by field.
#[derive(Debug, Default)]
struct Members<'a> {
    known: [Option<&'a [u8]>; FIELDS],
    unknown: Vec<json::Item<'a>>,
    duplicate: bool,
}

impl<'a> Members<'a> {
    /// Sorts a line's members. Of two members with one name the last one stays.
    fn read(line: &'a [u8]) -> Result<Self, Refusal> {
        if let Err(e) = std::str::from_utf8(line) {
            return Err(Refusal::NotUtf8(e.valid_up_to()));
        }
        let mut found = Members::default();
        let mut synonyms: [Option<json::Item<'a>>; FIELDS] = [None; FIELDS];
        for item in json::members(line) {
            let (name, value) = item.map_err(|e| refusal(line, e))?;
            match Field::named(text::inner(name)) {
                _ if value == b"null" => {}
                Some((field, true)) => {
                    found.duplicate |= found.known[field as usize].replace(value).is_some();
                }
                Some((field, false)) => {
                    if let Some(earlier) = synonyms[field as usize].replace((name, value)) {
                        found.unknown.push(earlier);
                    }
                }
                None => found.unknown.push((name, value)),
            }
        }
        for (slot, synonym) in found.known.iter_mut().zip(synonyms) {
            match (slot.is_some(), synonym) {
                (false, Some((_, value))) => *slot = Some(value),
                (true, Some(item)) => found.unknown.push(item),
                (_, None) => {}
            }
        }
        Ok(found)
    }

    fn take(&mut self, field: Field) -> Option<&'a [u8]> {
        self.known[field as usize].take()
    }
}

/// Tells "JSON of another kind" from "not JSON".
fn refusal(line: &[u8], error: json::Error) -> Refusal {
    let mut scanner = json::Scanner::new(line);
    match scanner.value() {
        Ok(value) if !value.starts_with(b"{") && scanner.end().is_ok() => Refusal::NotAnObject,
        _ => Refusal::NotJson(error),
    }
}

/// Turns records into bodies, with memory that is used again.
#[derive(Debug)]
pub struct Encoder {
    policy: Arc<Policy>,
    scrub: Scrubber,
    degraded: Vec<(&'static str, &'static str)>,
    plain: String,
    id: String,
    capture: Capture,
}

impl Encoder {
    /// An encoder for one source.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Encoder {
            scrub: Scrubber::new(&policy.redactor),
            policy,
            degraded: Vec::new(),
            plain: String::new(),
            id: String::new(),
            capture: Capture::Record,
        }
    }

    /// The policy it works under.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Appends the body of `line` to `out` and returns its id.
    ///
    /// # Errors
    /// A [`Refusal`]; `out` is then as it was.
    pub fn encode(
        &mut self,
        line: &[u8],
        from: (&str, &Origin),
        out: &mut Vec<u8>,
    ) -> Result<&str, Refusal> {
        self.encode_as(Capture::Record, line, from, out)
    }

    /// [`Encoder::encode`] for a record that veritail put together itself from another shape.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encode_as(
        &mut self,
        capture: Capture,
        line: &[u8],
        (source, origin): (&str, &Origin),
        out: &mut Vec<u8>,
    ) -> Result<&str, Refusal> {
        self.capture = capture;
        let members = Members::read(line)?;
        let start = out.len();
        // A panic in a rule must cost one record's content, not the daemon.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.body(members, out);
            write::capture(out, capture);
            write::origin(out, source, origin);
            self.tail(out);
        }));
        if done.is_err() {
            out.truncate(start);
            return Err(Refusal::Internal);
        }
        Ok(&self.id)
    }

    fn body(&mut self, mut members: Members<'_>, out: &mut Vec<u8>) {
        self.scrub.start();
        self.degraded.clear();
        if members.duplicate {
            self.degraded.push(("duplicate_member", ""));
        }
        let mut spill = Vec::new();
        self.event_type(&mut members, &mut spill, out);
        self.identity(&mut members, &mut spill, out);
        self.content(&mut members, &mut spill, out);
        self.numbers(&mut members, &mut spill, out);
        self.outcome(&mut members, &mut spill, out);
        self.metadata(&mut members, &spill, out);
    }

    /// Members that end the body: what was odd, what was scrubbed, under which policy.
    fn tail(&mut self, out: &mut Vec<u8>) {
        let own = self.degraded.iter().copied();
        parts::degraded(out, own.chain(self.scrub.degraded.iter().map(|why| (*why, ""))));
        parts::redactions(out, &self.policy, self.scrub.counts());
    }
}

/// The body of a quarantine entry: a record refused, by digest and length alone.
pub fn quarantine(
    out: &mut Vec<u8>,
    (reason, detail): (&str, &str),
    (sha256, length): (&Digest, u64),
    (source, origin): (&str, &Origin),
) {
    out.extend_from_slice(b"\"event_type\":\"quarantine\",\"reason\":");
    text::write(out, reason);
    out.extend_from_slice(b",\"detail\":");
    text::write(out, detail);
    out.extend_from_slice(b",\"sha256\":\"");
    out.extend_from_slice(const_hex::encode(sha256).as_bytes());
    out.extend_from_slice(b"\",\"bytes\":");
    write::integer(out, length);
    write::origin(out, source, origin);
}

/// The body of a gap entry: bytes of a file known to be lost unread.
pub fn gap(out: &mut Vec<u8>, reason: &str, (source, origin): (&str, &Origin)) {
    out.extend_from_slice(b"\"event_type\":\"gap\",\"reason\":");
    text::write(out, reason);
    write::origin(out, source, origin);
}

/// The body of a file_copy entry: a file whose bytes so far were sealed as another's.
pub fn file_copy(out: &mut Vec<u8>, (source, origin): (&str, &Origin)) {
    out.extend_from_slice(b"\"event_type\":\"file_copy\"");
    write::origin(out, source, origin);
}

#[cfg(test)]
mod tests;
