//! The built-in rules, as a table. A new key format is a row; a new kind of data is a row and the
//! function that finds it. Whoever changes what any rule finds raises [`VERSION`], since sealed
//! entries name the policy they were redacted under.

use super::{
    card, email,
    key::{self, Body, Key},
    phone,
    run::Run,
    site::Site,
    ssn,
};
use std::ops::Range;

/// Version of the table and of the code behind it; part of the policy's digest.
pub(super) const VERSION: &str = "1";

/// One built-in rule.
pub(super) struct Rule {
    /// Unique name, lower case.
    pub(super) name: &'static str,
    /// What it counts as; the label is this in brackets.
    pub(super) kind: &'static str,
    /// What wakes it, and how it decides.
    pub(super) detect: Detect,
}

/// What wakes a rule. Rules of one trigger are asked in the order of the table; the first to find
/// something wins.
pub(super) enum Detect {
    /// An `@`, given by its offset. Tried on identifiers too.
    At(fn(&Site<'_>, usize) -> Option<Range<usize>>),
    /// A group of digits, given by its index in the run. Never tried on identifiers.
    Number(fn(&Site<'_>, &Run, usize) -> Option<Range<usize>>),
    /// A prefix. Tried on identifiers too.
    Key(Key),
}

const fn number(
    name: &'static str,
    kind: &'static str,
    find: fn(&Site<'_>, &Run, usize) -> Option<Range<usize>>,
) -> Rule {
    Rule { name, kind, detect: Detect::Number(find) }
}

/// A key that is `prefix` and at least `min` bytes of `body`.
const fn key(name: &'static str, prefix: &'static str, body: Body, min: usize) -> Rule {
    Rule { name, kind: "API_KEY", detect: Detect::Key(Key { prefix, body, min }) }
}

/// All built-in rules. Formats of keys: their vendors' documentation, and the published rules of
/// secret scanners. Lengths are lower bounds, well below what is issued today: a key that grew, or
/// was cut by a log line, is still a key. Where two prefixes begin alike, the longer comes first.
pub(super) static RULES: &[Rule] = &[
    Rule { name: "url-password", kind: "API_KEY", detect: Detect::At(key::url_password) },
    Rule { name: "email", kind: "EMAIL", detect: Detect::At(email::find) },
    // Before cards: a telephone number may pass for a short card, and says by its `+` what it is.
    number("phone-international", "PHONE", phone::international),
    number("card", "CARD", card::find),
    number("ssn", "SSN", ssn::find),
    number("phone", "PHONE", phone::find),
    key("openrouter-v1-key", "sk-or-v1-", Body::Token, 8),
    key("openrouter-key", "sk-or-", Body::Token, 16),
    key("anthropic-key", "sk-ant-", Body::MixedToken, 20),
    key("openai-project-key", "sk-proj-", Body::MixedToken, 20),
    key("openai-service-key", "sk-svcacct-", Body::MixedToken, 20),
    key("openai-admin-key", "sk-admin-", Body::MixedToken, 20),
    key("langfuse-key", "sk-lf-", Body::MixedToken, 32),
    key("openai-key", "sk-", Body::MixedAlnum, 20),
    key("groq-key", "gsk_", Body::Alnum, 20),
    key("cerebras-key", "csk-", Body::Alnum, 20),
    key("xai-key", "xai-", Body::Alnum, 20),
    key("perplexity-key", "pplx-", Body::Alnum, 20),
    key("nvidia-key", "nvapi-", Body::MixedToken, 20),
    key("replicate-key", "r8_", Body::Alnum, 20),
    key("huggingface-key", "hf_", Body::Alnum, 20),
    key("langsmith-key", "lsv2_pt_", Body::MixedToken, 20),
    key("langsmith-service-key", "lsv2_sk_", Body::MixedToken, 20),
    key("google-key", "AIza", Body::Token, 30),
    key("aws-access-key", "AKIA", Body::Upper, 16),
    key("aws-session-key", "ASIA", Body::Upper, 16),
    key("github-token", "ghp_", Body::Alnum, 20),
    key("github-oauth-token", "gho_", Body::Alnum, 20),
    key("github-user-token", "ghu_", Body::Alnum, 20),
    key("github-server-token", "ghs_", Body::Alnum, 20),
    key("github-refresh-token", "ghr_", Body::Alnum, 20),
    key("github-fine-grained-token", "github_pat_", Body::MixedToken, 20),
    key("gitlab-token", "glpat-", Body::Token, 20),
    key("slack-bot-token", "xoxb-", Body::MixedToken, 16),
    key("slack-user-token", "xoxp-", Body::MixedToken, 16),
    key("slack-app-token", "xapp-", Body::MixedToken, 16),
    key("stripe-live-key", "sk_live_", Body::Alnum, 16),
    key("stripe-test-key", "sk_test_", Body::Alnum, 16),
    key("stripe-restricted-key", "rk_live_", Body::Alnum, 16),
    key("npm-token", "npm_", Body::Alnum, 30),
    key("digitalocean-token", "dop_v1_", Body::Alnum, 32),
    key("jwt", "eyJ", Body::Jwt, 8),
];
