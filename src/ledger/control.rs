//! Bodies of the entries that the ledger writes of its own accord.

use super::store::Oldest;
use crate::record::{Digest, Position};
use serde_json::{Value, json};

/// An object's members without the outer braces; `event_type` first, as a line wants it.
fn body(event_type: &str, members: Value) -> Vec<u8> {
    let mut out = format!("\"event_type\":\"{event_type}\"").into_bytes();
    let Value::Object(members) = members else { return out };
    for (name, value) in members {
        out.push(b',');
        crate::json::text::write(&mut out, &name);
        out.push(b':');
        write(&mut out, &value);
    }
    out
}

/// As `serde_json` would, but with the ledger's escapes.
fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => crate::json::text::write(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (at, (name, item)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                crate::json::text::write(out, name);
                out.push(b':');
                write(out, item);
            }
            out.push(b'}');
        }
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

/// What a segment's first line says.
#[derive(Debug)]
pub(super) struct Open<'a> {
    /// The segment's number.
    pub segment: u64,
    /// Number, file name and last sequence number of the one before.
    pub previous: Option<(u64, String, u64)>,
    /// Merkle frontier over all entries before this one.
    pub frontier: Vec<(u8, Digest)>,
    /// The public key in force.
    pub vkey: &'a str,
    /// The MAC key's id.
    pub key_id: &'a str,
    /// How far every file was sealed.
    pub positions: Vec<Position>,
    /// Where enrichment begins again after a restart.
    pub oldest_waiting: Option<Oldest>,
}

/// `segment_open`
#[must_use]
pub(super) fn segment_open(open: &Open<'_>) -> Vec<u8> {
    let previous = open
        .previous
        .as_ref()
        .map(|(segment, file, last)| json!({ "segment": segment, "file": file, "last_seq": last }));
    let frontier: Vec<Value> =
        open.frontier.iter().map(|(level, hash)| json!([level, const_hex::encode(hash)])).collect();
    let positions: Vec<Value> = open.positions.iter().map(position).collect();
    let oldest_waiting =
        open.oldest_waiting.map(|oldest| json!({ "segment": oldest.segment, "seq": oldest.seq }));
    body(
        "segment_open",
        json!({
            "segment": open.segment,
            "prev_segment": previous,
            "frontier": frontier,
            "vkey": open.vkey,
            "key_ids": [open.key_id],
            "host": host(),
            "boot_id": boot_id(),
            "positions": positions,
            "oldest_waiting": oldest_waiting,
        }),
    )
}

fn position(position: &Position) -> Value {
    let span = &position.span;
    json!({
        "source": &*position.source, "path": &*span.path, "dev": span.id.dev,
        "inode": span.id.inode, "start": span.start, "end": span.end,
        "head": const_hex::encode(span.id.head), "crc": const_hex::encode(span.crc.to_be_bytes()),
        "sealed_at": position.sealed_at,
    })
}

/// `checkpoint`, or `segment_close` when `segment` is the segment that it closes.
#[must_use]
pub(super) fn checkpoint(size: u64, root: &Digest, note: &str, segment: Option<u64>) -> Vec<u8> {
    let mut members = json!({ "size": size, "root": const_hex::encode(root), "note": note });
    let Some(segment) = segment else { return body("checkpoint", members) };
    if let Some(members) = members.as_object_mut() {
        members.insert("segment".into(), segment.into());
    }
    body("segment_close", members)
}

/// What a start is sealed with.
#[derive(Clone, Debug)]
pub struct Start {
    /// SHA-256 of the effective config, hex.
    pub config_hash: String,
    /// SHA-256 of the redaction policy, hex.
    pub policy_hash: String,
}

/// `daemon_start`; `clean` says whether the ledger's last entry before was a clean stop.
#[must_use]
pub(super) fn daemon_start(start: &Start, clean: bool) -> Vec<u8> {
    body(
        "daemon_start",
        json!({
            "version": env!("CARGO_PKG_VERSION"), "config_hash": start.config_hash,
            "policy_hash": start.policy_hash, "host": host(), "boot_id": boot_id(),
            "pid": std::process::id(), "clean": clean,
        }),
    )
}

/// `daemon_stop`
#[must_use]
pub(super) fn daemon_stop(entries: u64) -> Vec<u8> {
    body("daemon_stop", json!({ "entries": entries, "clean": true }))
}

/// `config_reload`
#[must_use]
pub fn config_reload(start: &Start) -> Vec<u8> {
    body(
        "config_reload",
        json!({ "config_hash": start.config_hash, "policy_hash": start.policy_hash }),
    )
}

/// `reconciliation`: a day's count against OpenRouter's, as the members of an object.
#[must_use]
pub fn reconciliation(members: Value) -> Vec<u8> {
    body("reconciliation", members)
}

/// `recovery`: a torn tail that was copied aside and cut.
#[must_use]
pub(super) fn recovery(bytes: u64, sha256: &Digest, file: &str) -> Vec<u8> {
    body(
        "recovery",
        json!({ "torn_bytes": bytes, "torn_sha256": const_hex::encode(sha256), "torn_file": file }),
    )
}

/// `clock_step`: the wall clock moved by `micros` against the monotonic one, or went back.
#[must_use]
pub(super) fn clock_step(from: &str, to: &str, micros: i64) -> Vec<u8> {
    body("clock_step", json!({ "from": from, "to": to, "step_us": micros }))
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Identity of the machine's boot; empty where the kernel does not tell.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}
