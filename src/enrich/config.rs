//! Settings of enrichment.

use crate::{secret::SecretRef, units::Span};
use serde::Deserialize;
use std::time::Duration;

/// `[enrich]`; nothing is asked for when the section is missing.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to ask, up to `/generation`.
    #[serde(default = "base_url")]
    pub base_url: String,
    /// The key for calls that name no other.
    pub api_key: SecretRef,
    /// Questions under way at a time, for each key.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// Questions a second, for each key.
    #[serde(default = "rate")]
    pub rate: u32,
    /// Longest time for one question, its answer included.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Age of a call at which it is first asked for.
    #[serde(default = "first_try")]
    pub first_try: Span,
    /// Age of a call at which a failed attempt was the last.
    #[serde(default = "give_up_after")]
    pub give_up_after: Span,
    /// Further keys.
    #[serde(default)]
    pub key: Vec<Key>,
    /// Sources whose calls are asked for elsewhere.
    #[serde(default)]
    pub source: Vec<Source>,
}

/// One `[[enrich.key]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// What a record names it by, in `api_key_name`.
    pub name: String,
    /// The key.
    pub api_key: SecretRef,
}

/// One `[[enrich.source]]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The name of a `[[source]]`.
    pub name: String,
    /// Where its calls are asked for.
    pub base_url: String,
}

impl Config {
    /// All references to secrets, with the paths they have in the config.
    pub fn references(&self) -> impl Iterator<Item = (String, &SecretRef)> {
        let more = self.key.iter().enumerate();
        let more = more.map(|(at, key)| (format!("enrich.key[{at}].api_key"), &key.api_key));
        std::iter::once(("enrich.api_key".to_owned(), &self.api_key)).chain(more)
    }
}

/// OpenRouter's public address.
pub const BASE_URL: &str = "https://openrouter.ai/api/v1";

fn base_url() -> String {
    BASE_URL.into()
}
fn concurrency() -> usize {
    8
}
fn rate() -> u32 {
    20
}
fn timeout() -> Span {
    Span(Duration::from_secs(8))
}
fn first_try() -> Span {
    Span(Duration::from_secs(2))
}
fn give_up_after() -> Span {
    Span(Duration::from_secs(86_400))
}
