//! Plain values that every stage speaks: where a record came from, how far a file was read, what
//! became of a record. No I/O, no clock, no async.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// What makes a file the same file after a rename: device, inode, and the first 8 bytes of the
/// SHA-256 of its first record (without its LF), since inodes are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// Device number (`st_dev`).
    pub dev: u64,
    /// Inode number (`st_ino`).
    pub inode: u64,
    /// First 8 bytes of the SHA-256 of the first line, LF excluded.
    pub head: [u8; 8],
}

/// The bytes of a file that one record (or one refused or lost range) occupied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpan {
    /// Path at which the file was read, lossy where it is not UTF-8.
    pub path: Arc<str>,
    /// The file's identity.
    pub id: FileId,
    /// Offset of the first byte.
    pub start: u64,
    /// Offset after the last byte, LF included: where reading goes on.
    pub end: u64,
    /// CRC-32 (IEEE) of the range without its final LF: tells a rewritten file from a grown one.
    pub crc: u32,
}

/// How far a file has been sealed: the last span of it that is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Name of the source that read it.
    pub source: Arc<str>,
    /// The last sealed span.
    pub span: FileSpan,
    /// Wall time (microseconds since the epoch) at which that span was sealed.
    pub sealed_at: i64,
}

/// Where a record came from; sealed with it as `origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A span of a file.
    File(FileSpan),
    /// A peer of a unix socket, as the kernel reports it (`SO_PEERCRED`).
    Peer {
        /// User id of the peer.
        uid: u32,
        /// Group id of the peer.
        gid: u32,
        /// Process id of the peer, where the kernel tells.
        pid: Option<i32>,
    },
    /// A line of standard input, counted from 1.
    Stdin {
        /// Line number.
        line: u64,
    },
    /// A peer of an HTTP address, as the connection itself shows it: what a proxy in between claims
    /// about others in a header counts for nothing.
    Http {
        /// Its address.
        peer: IpAddr,
    },
}

/// By which shape a record was told; sealed as `capture`, which no application can claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// A record as veritail wants it. Has no `capture` member.
    #[default]
    Record,
    /// LiteLLM's logging payload.
    LiteLlm,
    /// A span of an OpenTelemetry instrumentation: best effort, its exporter may have dropped others.
    Otlp,
    /// A trace that OpenRouter itself sent (Broadcast). Sealed under its own reserved event type: it
    /// is no record of the application but an independent witness of a call.
    Broadcast,
}

impl Capture {
    /// Its word in an entry.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Capture::Record => "record",
            Capture::LiteLlm => "litellm",
            Capture::Otlp => "otlp",
            Capture::Broadcast => "broadcast",
        }
    }
}

/// Whether `text` is a generation id as OpenRouter gives them. They come in several forms
/// (`gen-<seconds>-<20>`, `gen-<28>`, `gen-batch-…`), so the pattern is no stricter than all of them
/// allow.
#[must_use]
pub fn is_generation_id(text: &str) -> bool {
    let rest = text.strip_prefix("gen-").unwrap_or_default().as_bytes();
    (3..=128).contains(&rest.len())
        && rest.first().is_some_and(u8::is_ascii_alphanumeric)
        && rest.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// A digest as the ledger uses them.
pub type Digest = [u8; 32];

/// What became of one record that asked to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Sealed and synced (now, or earlier under the same id).
    Sealed {
        /// Sequence number of its entry.
        seq: u64,
        /// Its entry's chain hash.
        chain_hash: Digest,
    },
    /// Refused; the refusal itself is sealed.
    Quarantined {
        /// Sequence number of the quarantine entry.
        seq: u64,
        /// Why.
        reason: Arc<str>,
    },
}

/// An answer to record number `n` of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The record's number on its connection, from 1.
    pub n: u64,
    /// The record's id.
    pub id: Arc<str>,
    /// What became of it.
    pub outcome: Outcome,
}

/// Where the ledger leaves the answers of one connection. It never waits for the reader; the
/// connection bounds what is in here by bounding how many records it has in flight.
#[derive(Debug, Default)]
pub struct Replies {
    waiting: Mutex<Vec<Reply>>,
    ready: tokio::sync::Notify,
}

impl Replies {
    /// Leaves answers for the connection and wakes it.
    pub fn put(&self, replies: impl IntoIterator<Item = Reply>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).extend(replies);
        self.ready.notify_one();
    }

    /// Takes what is there, without waiting.
    pub fn take(&self) -> Vec<Reply> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something may be there.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }
}

/// The ledger has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger has stopped")]
pub struct Closed;
