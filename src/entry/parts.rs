//! What every kind of body is made of: keyed digests that stand for names and keys, and the members
//! that end a body.

use super::{
    Policy,
    write::{integer, name},
};
use crate::{
    json::text,
    record::Digest,
    redact::{Redactor, RuleId, Scope},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA-256 over the parts, one after the other.
pub(super) fn hmac(key: &Digest, parts: &[&[u8]]) -> Digest {
    // A 32-byte key is always accepted; the fallback can only ever be an all-zero digest.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// What stands for an API key in an entry: the beginning of its HMAC, so that the calls of one key
/// can be joined and a key that somebody holds can be recognised.
#[must_use]
pub fn fingerprint(policy: &Policy, key: &[u8]) -> String {
    let print = hmac(&policy.fingerprint_key, &[key]);
    format!("hmac-sha256:{}", const_hex::encode(&print[..16]))
}

/// The keyed pseudonym of a user's name that is personal data as a whole, and the rule that says so.
pub(super) fn pseudonym(policy: &Policy, plain: &str) -> Option<(RuleId, String)> {
    let mut hits = Vec::new();
    policy.redactor.scan(plain, Some("user_id"), Scope::Text, &mut hits);
    let [hit] = hits.as_slice() else { return None };
    if hit.start != 0 || hit.end != plain.len() {
        return None;
    }
    let normal = plain.trim().to_ascii_lowercase();
    let print = hmac(&policy.fingerprint_key, &[normal.as_bytes()]);
    let label = policy.redactor.label(hit.rule).trim_end_matches(']');
    Some((hit.rule, format!("{label}:{}]", const_hex::encode(&print[..6]))))
}

/// `"degraded":["timestamp","usage:type"]`, nothing when nothing was odd.
pub(super) fn degraded<'a>(out: &mut Vec<u8>, odd: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut separator: &[u8] = b",\"degraded\":[\"";
    for (name, why) in odd {
        out.extend_from_slice(separator);
        out.extend_from_slice(name.as_bytes());
        if !why.is_empty() {
            out.push(b':');
            out.extend_from_slice(why.as_bytes());
        }
        out.push(b'"');
        separator = b",\"";
    }
    if separator.len() == 2 {
        out.push(b']');
    }
}

/// What was scrubbed, where anything was, and under which policy: the end of every body.
/// `"redactions":{"EMAIL":2},"policy":"…"`
pub(super) fn redactions(out: &mut Vec<u8>, policy: &Policy, counts: &[u32]) {
    if counts.iter().any(|count| *count > 0) {
        kinds(out, &policy.redactor, counts);
    }
    name(out, "policy");
    out.push(b'"');
    out.extend_from_slice(policy.id.as_bytes());
    out.push(b'"');
}

fn kinds(out: &mut Vec<u8>, redactor: &Redactor, counts: &[u32]) {
    let mut kinds = std::collections::BTreeMap::<&str, u64>::new();
    for (rule, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        *kinds.entry(redactor.kind_at(rule)).or_default() += u64::from(*count);
    }
    name(out, "redactions");
    for (at, (kind, count)) in kinds.iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        text::write(out, kind);
        out.push(b':');
        integer(out, *count);
    }
    out.push(b'}');
}
