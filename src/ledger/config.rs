//! Settings of the ledger.

use crate::{
    secret::SecretRef,
    units::{ByteSize, Span},
};
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

/// When an entry counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// One `fdatasync` for all that arrived since the last one (bounded in time and size).
    #[default]
    Group,
    /// One `fdatasync` an entry.
    Each,
    /// None: survives a crash of the daemon, not of the machine.
    Os,
}

/// `[ledger]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Directory of segments and keys.
    pub dir: PathBuf,
    /// The stream is named after it: `<service>-<8 hex>`. Letters, digits, `.`, `_`, `-`; at most 64.
    #[serde(default = "service")]
    pub service: String,
    /// When an entry counts as written.
    #[serde(default)]
    pub durability: Durability,
    /// Longest time an entry waits for others to share its sync with.
    #[serde(default = "group_wait")]
    pub group_wait: Span,
    /// Size at which a group is synced at once.
    #[serde(default = "group_size")]
    pub group_size: ByteSize,
    /// Size at which a segment is closed and the next one opened.
    #[serde(default = "segment_size")]
    pub segment_size: ByteSize,
    /// A closed segment is compressed into `archive/` this long after its last line.
    #[serde(default = "compress_after")]
    pub compress_after: Span,
    /// A checkpoint is signed after this many entries …
    #[serde(default = "checkpoint_entries")]
    pub checkpoint_entries: u64,
    /// … or after this time when something is new …
    #[serde(default = "checkpoint_interval")]
    pub checkpoint_interval: Span,
    /// … or after this time when nothing is: a heartbeat, so that silence can be told from a cut.
    #[serde(default = "heartbeat_interval")]
    pub heartbeat_interval: Span,
    /// Ids of acknowledged records remembered so that a re-sent one is recognised.
    #[serde(default = "remember_ids")]
    pub remember_ids: usize,
    /// Bytes of redacted entries that may wait for the ledger; then the sources stop reading.
    #[serde(default = "queue_size")]
    pub queue_size: ByteSize,
    /// The 32-byte MAC master as hex; else a systemd credential `mac.key`, else `keys/mac.key`.
    pub mac_key: Option<SecretRef>,
    /// The Ed25519 seed as hex; else a systemd credential `signing.key`, else `keys/signing.key`.
    pub signing_key: Option<SecretRef>,
}

fn service() -> String {
    "veritail".into()
}
fn group_wait() -> Span {
    Span(Duration::from_millis(5))
}
fn group_size() -> ByteSize {
    ByteSize(8 << 20)
}
fn segment_size() -> ByteSize {
    ByteSize(256 << 20)
}
fn compress_after() -> Span {
    // Not at once: in a burst the processor belongs to sealing.
    Span(Duration::from_secs(3600))
}
fn checkpoint_entries() -> u64 {
    1000
}
fn checkpoint_interval() -> Span {
    Span(Duration::from_secs(10))
}
fn heartbeat_interval() -> Span {
    Span(Duration::from_secs(300))
}
fn remember_ids() -> usize {
    65_536
}
fn queue_size() -> ByteSize {
    ByteSize(8 << 20)
}
