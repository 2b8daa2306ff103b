//! Settings of redaction.

use serde::Deserialize;

/// What is kept of prompts and responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Their digest only.
    #[default]
    Hash,
    /// Their digest and their scrubbed text.
    Redacted,
    /// Nothing.
    None,
}

/// How the digest of a prompt or response is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Hash {
    /// Plain SHA-256: anyone can check it, and can guess short texts.
    #[default]
    #[serde(rename = "sha256")]
    Sha256,
    /// HMAC-SHA-256 under a key derived from the ledger's MAC master.
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
}

/// `[redact]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is kept of prompts and responses.
    pub content: Content,
    /// How their digest is made.
    pub hash: Hash,
    /// Built-in rules to switch off, by label: `["PHONE"]`.
    pub disable: Vec<String>,
    /// Rules of the operator's own.
    pub rule: Vec<Rule>,
}

/// `[[redact.rule]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique name, for `redact --explain`.
    pub name: String,
    /// What replaces a match, in brackets: `EMPLOYEE_ID` gives `[EMPLOYEE_ID]`. Upper-case letters,
    /// digits and `_`.
    pub label: String,
    /// A regular expression without look-around or back-references, so that matching takes linear
    /// time.
    pub pattern: String,
    /// Whether identifiers (ids, model names, status) are searched too, not only texts.
    #[serde(default)]
    pub identifiers: bool,
}
