//! The digest of a redaction policy: SHA-256 over a canonical description.
//!
//! The description is a sequence of fields, each as its length (8 bytes, little endian) and its
//! bytes, in this order: `veritail/redaction-policy`; the version of the rule table; `content`;
//! `hash`; the number of disabled labels and those labels, sorted and without repetition; the number
//! of custom rules; and for each in turn its name, its label, its pattern and `text` or
//! `identifiers`. Numbers are written in decimal.

use super::{
    config::{Config, Content, Hash},
    rules::VERSION,
};
use crate::record::Digest;
use sha2::{Digest as _, Sha256};

/// The digest of the policy that `config` describes.
pub(super) fn digest(config: &Config) -> Digest {
    let mut hash = Sha256::new();
    let mut field = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    field("veritail/redaction-policy");
    field(VERSION);
    field(match config.content {
        Content::Hash => "hash",
        Content::Redacted => "redacted",
        Content::None => "none",
    });
    field(match config.hash {
        Hash::Sha256 => "sha256",
        Hash::HmacSha256 => "hmac-sha256",
    });
    let mut disabled: Vec<&str> = config.disable.iter().map(String::as_str).collect();
    disabled.sort_unstable();
    disabled.dedup();
    field(&disabled.len().to_string());
    disabled.into_iter().for_each(&mut field);
    field(&config.rule.len().to_string());
    for rule in &config.rule {
        field(&rule.name);
        field(&rule.label);
        field(&rule.pattern);
        field(if rule.identifiers { "identifiers" } else { "text" });
    }
    hash.finalize().into()
}
