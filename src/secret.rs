//! Secrets are references in the config and bytes only here; neither is ever printed.

use serde::Deserialize;
use std::path::PathBuf;

/// Where a secret is to be had: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// A file; refused when others than its owner (and group) may read it.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential: a file of that name under `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}
