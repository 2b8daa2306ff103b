//! A source's way in: raw lines are parsed, redacted and encoded here, in the source's own thread,
//! before anything else may see them, and collected into batches for the ledger.

use crate::{
    entry::{self, Encoder, Policies},
    queue::{self, Batch, Item, Kind, Queue, Ticket},
    record::{Capture, Closed, FileId, FileSpan, Origin, Position, Replies},
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// A batch is handed over at this size; large enough to make the hand-over free, small enough that
/// the ledger's thread never waits long for one.
const BATCH: usize = 128 << 10;

/// What a source of files hands on. The caller parses, redacts and seals; the source only reads.
pub trait Output {
    /// One whole line, LF excluded.
    fn record(&mut self, line: &[u8], at: &FileSpan);
    /// A range refused unparsed: a line past the limit, or a torn line at the end of a file that
    /// will not grow again. `sha256` and `len` are of the range without its final LF.
    fn refuse(&mut self, reason: &str, sha256: [u8; 32], len: u64, at: &FileSpan);
    /// A range known to be lost unread, and why.
    fn gap(&mut self, reason: &str, at: &FileSpan);
    /// This file is a copy of one that was read: its bytes up to `at.end` are sealed already.
    fn copied(&mut self, at: &FileSpan);
    /// The file is gone and was read to its end: its position need not be kept.
    fn forget(&mut self, id: &FileId);
    /// A good moment to hand on what was collected; waits while the ledger is behind.
    ///
    /// # Errors
    /// [`Closed`] when the ledger has stopped: the source stops too.
    fn flush(&mut self) -> Result<(), Closed>;
}

/// One source's way in.
#[derive(Debug)]
pub struct Intake {
    source: Arc<str>,
    policies: Policies,
    encoder: Encoder,
    queue: Queue,
    batch: Batch,
    replies: Option<Arc<Replies>>,
}

impl Intake {
    /// A way in for the source of that name, under the policy that is in force when a batch begins.
    #[must_use]
    pub fn new(source: &str, policies: Policies, queue: Queue) -> Self {
        Intake {
            source: source.into(),
            encoder: Encoder::new(policies.get()),
            policies,
            queue,
            batch: Batch::default(),
            replies: None,
        }
    }

    /// Where the answers to records with a number are left from now on.
    pub fn answer_to(&mut self, replies: Arc<Replies>) {
        self.replies = Some(replies);
    }

    /// Takes one line: redacted into the batch, or refused into it. `n` asks for an answer under
    /// that number.
    pub fn record(&mut self, line: &[u8], origin: &Origin, n: Option<u64>) {
        self.captured(Capture::Record, line, origin, n);
    }

    /// [`Intake::record`] for one that the source put together from another shape.
    pub fn captured(&mut self, capture: Capture, line: &[u8], origin: &Origin, n: Option<u64>) {
        let start = self.batch.bytes.len();
        if start == 0 {
            let policy = self.policies.get();
            if !Arc::ptr_eq(&policy, self.encoder.policy()) {
                self.encoder = Encoder::new(policy);
            }
        }
        let from = (&*self.source, origin);
        match self.encoder.encode_as(capture, line, from, &mut self.batch.bytes) {
            Ok(id) => {
                let ticket =
                    n.map(|n| Ticket { n, id: id.into(), key: queue::id_key(&self.source, id) });
                let range = start..self.batch.bytes.len();
                self.batch.items.push(Item { range, kind: Kind::Record, ticket });
            }
            Err(why) => {
                let digest = Sha256::digest(line).into();
                let told = (why.code(), why.to_string());
                self.refuse((told.0, &told.1), (digest, line.len() as u64), (origin, n));
            }
        }
    }

    /// Takes note of a record refused unread: its reason, digest and length.
    pub fn refuse(
        &mut self,
        (reason, detail): (&str, &str),
        (sha256, length): ([u8; 32], u64),
        (origin, n): (&Origin, Option<u64>),
    ) {
        let start = self.batch.bytes.len();
        let told = (&*self.source, origin);
        entry::quarantine(&mut self.batch.bytes, (reason, detail), (&sha256, length), told);
        let ticket = n.map(|n| Ticket { n, id: "".into(), key: [0; 16] });
        let range = start..self.batch.bytes.len();
        self.batch.items.push(Item { range, kind: Kind::Quarantine(reason.into()), ticket });
        tracing::debug!(source = &*self.source, reason, detail, "a record was quarantined");
    }

    /// Whether the batch should be handed over now rather than grow.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.batch.bytes.len() >= BATCH
    }

    fn take(&mut self) -> Batch {
        let mut batch = std::mem::take(&mut self.batch);
        batch.replies.clone_from(&self.replies);
        self.batch.bytes.reserve(BATCH + BATCH / 4);
        batch
    }

    /// Hands over what was collected, waiting for room.
    ///
    /// # Errors
    /// [`Closed`] when the ledger has stopped.
    pub async fn send(&mut self) -> Result<(), Closed> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = self.take();
        self.queue.send(batch).await
    }

    fn moved(&mut self, at: &FileSpan) {
        let source = &self.source;
        match self.batch.positions.last_mut() {
            Some(last) if last.span.id == at.id => last.span.clone_from(at),
            _ => {
                let span = at.clone();
                let position = Position { source: source.clone(), span, sealed_at: 0 };
                self.batch.positions.push(position);
            }
        }
    }

    fn full_then_flush(&mut self) {
        // The ledger's end is noticed at the next flush that the source itself asks for.
        if self.is_full() {
            let _ = self.flush();
        }
    }
}

impl Output for Intake {
    fn record(&mut self, line: &[u8], at: &FileSpan) {
        if line.trim_ascii().is_empty() {
            return;
        }
        Intake::record(self, line, &Origin::File(at.clone()), None);
        self.moved(at);
        self.full_then_flush();
    }

    fn refuse(&mut self, reason: &str, sha256: [u8; 32], len: u64, at: &FileSpan) {
        let origin = Origin::File(at.clone());
        Intake::refuse(self, (reason, ""), (sha256, len), (&origin, None));
        self.moved(at);
        self.full_then_flush();
    }

    fn gap(&mut self, reason: &str, at: &FileSpan) {
        let start = self.batch.bytes.len();
        let origin = Origin::File(at.clone());
        entry::gap(&mut self.batch.bytes, reason, (&self.source, &origin));
        let range = start..self.batch.bytes.len();
        self.batch.items.push(Item { range, kind: Kind::Gap, ticket: None });
        self.moved(at);
        tracing::warn!(source = &*self.source, path = &*at.path, reason, "bytes were lost unread");
    }

    fn copied(&mut self, at: &FileSpan) {
        let start = self.batch.bytes.len();
        let origin = Origin::File(at.clone());
        entry::file_copy(&mut self.batch.bytes, (&self.source, &origin));
        let range = start..self.batch.bytes.len();
        self.batch.items.push(Item { range, kind: Kind::Own, ticket: None });
        self.moved(at);
    }

    fn forget(&mut self, id: &FileId) {
        self.batch.forgotten.push((self.source.clone(), *id));
    }

    fn flush(&mut self) -> Result<(), Closed> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = self.take();
        self.queue.send_blocking(batch)
    }
}
