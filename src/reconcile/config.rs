//! Settings of the reconciliation.

use crate::{enrich::config::BASE_URL, secret::SecretRef, units::Span};
use serde::Deserialize;
use std::time::Duration;

/// `[reconcile]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The management key, which can count but make no calls.
    pub management_key: SecretRef,
    /// Where to ask. The config fills in where `[enrich]` asks when this is left out.
    #[serde(default = "base_url")]
    pub base_url: String,
    /// How often the daemon looks for completed days that were not compared yet; it never does when
    /// this is left out.
    pub every: Option<Span>,
    /// How long after midnight UTC the daemon leaves a day alone, since late answers and OpenRouter's
    /// own count still settle.
    #[serde(default = "settle")]
    pub settle: Span,
    /// Longest time for one answer.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// Hashes of the API keys whose calls come into this ledger; all of the account's when empty.
    #[serde(default)]
    pub api_key_hashes: Vec<String>,
    /// The one workspace whose calls come into this ledger; all of the account's when left out.
    pub workspace_id: Option<String>,
}

fn base_url() -> String {
    BASE_URL.into()
}
fn settle() -> Span {
    Span(Duration::from_secs(3600))
}
fn timeout() -> Span {
    // An aggregation over a day takes longer than a look-up.
    Span(Duration::from_secs(60))
}
