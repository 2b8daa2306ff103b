//! One line of the ledger: one entry.
//!
//! ```text
//! {"v":1,"stream":"…","seq":81,"prev_hash":"…","recorded_at":"…","key_id":"…","event_type":"…",…
//! ,"chain_hash":"<64 hex>","signature":"<64 hex>"}
//! ```
//!
//! What is hashed is the *core*: the bytes before the last 160, which are the trailer. Nothing is
//! ever canonicalised; the bytes are the evidence. A reader takes a line by one anchored pattern or
//! not at all, so that no two readers can see different entries in the same bytes.

use super::chain::MacKey;
use crate::{json, record::Digest};
use sha2::{Digest as _, Sha256};

/// Length of a line's end, LF not counted: `,"chain_hash":"` 64 hex `","signature":"` 64 hex `"}`.
pub const TRAILER: usize = 160;
/// The largest `seq`: integers beyond 2^53 − 1 do not survive other people's JSON readers.
pub const MAX_SEQ: u64 = (1 << 53) - 1;

const START: &[u8] = b"{\"v\":1,\"stream\":\"";
const SEQ: &[u8] = b"\",\"seq\":";
const PREV_HASH: &[u8] = b",\"prev_hash\":\"";
const RECORDED_AT: &[u8] = b"\",\"recorded_at\":\"";
const KEY_ID: &[u8] = b"\",\"key_id\":\"";
const EVENT_TYPE: &[u8] = b"\"event_type\":\"";
const CHAIN_HASH: &[u8] = b",\"chain_hash\":\"";
const SIGNATURE: &[u8] = b"\",\"signature\":\"";
const END: &[u8] = b"\"}";
/// The form of `recorded_at`; `0` stands for any digit.
const INSTANT: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";

/// What stands before an entry's own members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The stream: ASCII letters, digits, `.`, `_`, `-`.
    pub stream: &'a str,
    /// Sequence number, at most [`MAX_SEQ`].
    pub seq: u64,
    /// Chain hash of the entry before, or [`super::chain::genesis`].
    pub prev_hash: Digest,
    /// When it was sealed, as [`crate::clock::rfc3339`] writes it.
    pub recorded_at: &'a str,
    /// Id of the MAC key: ASCII letters, digits, `.`, `_`, `-`.
    pub key_id: &'a str,
}

/// Appends one whole line, its LF included, and gives its chain hash.
///
/// `body` is the entry's members without outer braces, from `"event_type":"…"` on; it must be valid
/// JSON members with no raw control characters or line separators, and none of the envelope's names.
pub fn write(out: &mut Vec<u8>, envelope: &Envelope<'_>, body: &[u8], mac: &MacKey) -> Digest {
    let start = out.len();
    out.reserve(START.len() + body.len() + 400);
    let hex = |out: &mut Vec<u8>, digest: &Digest| {
        out.extend_from_slice(const_hex::Buffer::<32>::new().const_format(digest).as_bytes());
    };
    out.extend_from_slice(START);
    out.extend_from_slice(envelope.stream.as_bytes());
    out.extend_from_slice(SEQ);
    decimal(out, envelope.seq);
    out.extend_from_slice(PREV_HASH);
    hex(out, &envelope.prev_hash);
    out.extend_from_slice(RECORDED_AT);
    out.extend_from_slice(envelope.recorded_at.as_bytes());
    out.extend_from_slice(KEY_ID);
    out.extend_from_slice(envelope.key_id.as_bytes());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(body);
    let core = out.get(start..).unwrap_or_default();
    let chain_hash = Sha256::digest(core).into();
    out.extend_from_slice(CHAIN_HASH);
    hex(out, &chain_hash);
    out.extend_from_slice(SIGNATURE);
    hex(out, &mac.sign(&chain_hash));
    out.extend_from_slice(END);
    out.push(b'\n');
    chain_hash
}

/// Appends `value` in decimal.
fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[digits.len() - used..]);
}

/// An entry as its line has it; nothing here has been checked against hash or MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bytes that are hashed: the line without its trailer.
    pub core: &'a [u8],
    /// The stream's name.
    pub stream: &'a str,
    /// Sequence number.
    pub seq: u64,
    /// The chain hash that the entry says came before.
    pub prev_hash: Digest,
    /// When it was sealed: 27 bytes, `2026-11-21T10:01:22.123456Z`.
    pub recorded_at: &'a str,
    /// Id of the MAC key.
    pub key_id: &'a str,
    /// The kind of entry, as it is spelled (escapes, which control entries never have, are kept).
    pub event_type: &'a str,
    /// From `"event_type"` to the end of the core: members without outer braces.
    pub body: &'a [u8],
    /// The hash that the line states; [`Line::hash`] is the one it has.
    pub chain_hash: Digest,
    /// The MAC that the line states.
    pub signature: Digest,
    whole: &'a [u8],
}

impl<'a> Line<'a> {
    /// SHA-256 of the core: the line's true chain hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Sha256::digest(self.core).into()
    }

    /// The raw JSON value of a top-level member whose name is spelled without escapes.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&'a [u8]> {
        let named = |raw: &[u8]| json::text::inner(raw) == name.as_bytes();
        let mut members = json::members(self.whole).map_while(Result::ok);
        members.find(|(raw, _)| named(raw)).map(|(_, value)| value)
    }
}

/// Why bytes are no line of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Nothing between two LFs.
    #[error("empty line")]
    Empty,
    /// A CR: somebody converted the line ends.
    #[error("carriage return: line ends were converted")]
    CarriageReturn,
    /// A byte order mark.
    #[error("byte order mark")]
    Bom,
    /// Another control character, written as it is.
    #[error("raw control character")]
    Control,
    /// U+0085, U+2028 or U+2029 written as it is.
    #[error("raw line separator")]
    Separator,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// The end is not `chain_hash` and `signature`.
    #[error("no chain_hash and signature at its end")]
    Trailer,
    /// The beginning is not the envelope's members in their order and form.
    #[error("does not begin as an entry does")]
    Envelope,
    /// Two members of one name in one object.
    #[error("duplicate member name")]
    Duplicate,
    /// Not JSON.
    #[error("not valid JSON")]
    Json,
}

/// Reads a line (without its LF).
///
/// # Errors
/// [`Malformed`] says why the bytes are no line; nothing lenient is tried.
pub fn parse(line: &[u8]) -> Result<Line<'_>, Malformed> {
    let text = characters(line)?;
    let split = text.len().checked_sub(TRAILER).and_then(|at| text.split_at_checked(at));
    let (core, trailer) = split.ok_or(Malformed::Trailer)?;
    let (chain_hash, signature) = trailer_of(trailer.as_bytes()).ok_or(Malformed::Trailer)?;
    let mut parsed = envelope(core).ok_or(Malformed::Envelope)?;
    json::check(line).map_err(|error| match error.kind {
        json::Kind::Duplicate => Malformed::Duplicate,
        _ => Malformed::Json,
    })?;
    (parsed.chain_hash, parsed.signature, parsed.whole) = (chain_hash, signature, line);
    Ok(parsed)
}

/// The envelope alone, for readers of what this daemon sealed itself: neither the rest nor the trailer
/// is looked at, so `chain_hash` and `signature` are left empty. `None` when it is no entry.
#[must_use]
pub fn peek(line: &[u8]) -> Option<Line<'_>> {
    envelope(std::str::from_utf8(line).ok()?)
}

/// Refuses what a line splitter or a reader of characters could see differently.
fn characters(line: &[u8]) -> Result<&str, Malformed> {
    if line.is_empty() {
        return Err(Malformed::Empty);
    }
    if line.iter().fold(false, |any, byte| any | (*byte < 0x20)) {
        let cr = line.contains(&b'\r');
        return Err(if cr { Malformed::CarriageReturn } else { Malformed::Control });
    }
    if line.starts_with(b"\xEF\xBB\xBF") {
        return Err(Malformed::Bom);
    }
    if !json::text::may_stand(line) {
        return Err(Malformed::Separator);
    }
    std::str::from_utf8(line).map_err(|_| Malformed::Utf8)
}

fn trailer_of(trailer: &[u8]) -> Option<(Digest, Digest)> {
    let (chain_hash, rest) = digest(trailer.strip_prefix(CHAIN_HASH)?)?;
    let (signature, rest) = digest(rest.strip_prefix(SIGNATURE)?)?;
    (rest == END).then_some((chain_hash, signature))
}

/// The 64 lower-case hex digits at the start of `bytes`, and what follows them.
fn digest(bytes: &[u8]) -> Option<(Digest, &[u8])> {
    let (hex, rest) = bytes.split_first_chunk::<64>()?;
    if hex.iter().fold(false, |any, byte| any | byte.is_ascii_uppercase()) {
        return None;
    }
    Some((const_hex::decode_to_array(hex).ok()?, rest))
}

/// The envelope of `core` in its one form; `chain_hash`, `signature` and `whole` are left to fill.
fn envelope(core: &str) -> Option<Line<'_>> {
    let bytes = core.as_bytes();
    let (stream, rest) = word(bytes.strip_prefix(START)?)?;
    let (seq, rest) = sequence(rest.strip_prefix(SEQ)?)?;
    let (prev_hash, rest) = digest(rest.strip_prefix(PREV_HASH)?)?;
    let (recorded_at, rest) = instant(rest.strip_prefix(RECORDED_AT)?)?;
    let (key_id, rest) = word(rest.strip_prefix(KEY_ID)?)?;
    let body = rest.strip_prefix(b"\",")?;
    let kind = body.strip_prefix(EVENT_TYPE)?;
    let end = string_end(kind).filter(|end| *end > 0)?;
    let event_type = std::str::from_utf8(kind.get(..end)?).ok()?;
    let (chain_hash, signature, whole) = ([0; 32], [0; 32], bytes);
    #[rustfmt::skip]
    let line = Line {
        core: bytes, stream, seq, prev_hash, recorded_at, key_id, event_type, body,
        chain_hash, signature, whole,
    };
    Some(line)
}

/// A name of ASCII letters, digits, `.`, `_`, `-`; not empty.
fn word(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let end = bytes.iter().position(|b| !plain(b)).filter(|end| *end > 0)?;
    let (word, rest) = bytes.split_at(end);
    Some((std::str::from_utf8(word).ok()?, rest))
}

/// `0|[1-9][0-9]*`, at most [`MAX_SEQ`].
fn sequence(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|b| !b.is_ascii_digit())?;
    let (digits, rest) = bytes.split_at(end);
    if digits.is_empty() || digits.len() > 16 || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    let seq = digits.iter().fold(0, |seq, digit| seq * 10 + u64::from(digit - b'0'));
    (seq <= MAX_SEQ).then_some((seq, rest))
}

fn instant(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (instant, rest) = bytes.split_first_chunk::<27>()?;
    let fits = |(byte, form): (&u8, &u8)| {
        if *form == b'0' { byte.is_ascii_digit() } else { byte == form }
    };
    let good = instant.iter().zip(INSTANT).all(fits);
    good.then_some((std::str::from_utf8(instant).ok()?, rest))
}

/// Where the string ends that begins before `bytes`: the offset of its closing quote.
fn string_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests;
