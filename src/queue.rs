//! The one way into the ledger: batches of redacted bodies, bounded in bytes.
//!
//! A batch holds its bytes' permit until they are synced, so what waits, is being sealed or is being
//! written is bounded together; when the ledger is behind, sources wait here and stop reading.

use crate::record::{Closed, Digest, FileId, Position, Replies};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// What an item counts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A record.
    Record,
    /// A record refused, and why.
    Quarantine(Arc<str>),
    /// Bytes lost unread.
    Gap,
    /// What is worth knowing of a file.
    Note,
}

/// A record whose sender wants to be told.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The record's number on its connection, from 1.
    pub n: u64,
    /// The record's id.
    pub id: Arc<str>,
    /// What makes it the same record when it is sent again.
    pub key: IdKey,
}

/// First 16 bytes of the SHA-256 of source name, NUL, id.
pub type IdKey = [u8; 16];

/// One body within a batch.
#[derive(Debug)]
pub struct Item {
    /// Its bytes in [`Batch::bytes`].
    pub range: Range<usize>,
    /// What it counts as.
    pub kind: Kind,
    /// Whom to tell.
    pub ticket: Option<Ticket>,
}

/// Bodies that one source hands over together.
#[derive(Debug, Default)]
pub struct Batch {
    /// The bodies, one after the other.
    pub bytes: Vec<u8>,
    /// Where each one is.
    pub items: Vec<Item>,
    /// The last position of each file that is in here.
    pub positions: Vec<Position>,
    /// Files whose position need not be kept.
    pub forgotten: Vec<(Arc<str>, FileId)>,
    /// Where to leave the answers to the items that have a ticket.
    pub replies: Option<Arc<Replies>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Batch {
    /// Whether there is nothing to hand over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.positions.is_empty() && self.forgotten.is_empty()
    }

    /// Takes the permit, to be dropped when the bytes are synced.
    pub fn take_permit(&mut self) -> Option<OwnedSemaphorePermit> {
        self.permit.take()
    }
}

/// What the ledger's thread is told.
#[derive(Debug)]
pub enum Message {
    /// Seal this.
    Batch(Batch),
    /// Seal this control entry (a body without position or ticket).
    Control(Vec<u8>),
    /// Tell how far every file is sealed (all batches before this included).
    Positions(oneshot::Sender<Vec<Position>>),
    /// The writer is done with a group; here is its memory back.
    Written(Vec<u8>),
    /// Everything before this was the last.
    Stop,
    /// The writer gave up.
    Failed,
}

/// Bytes that one permit stands for; a semaphore counts in 32 bits.
const UNIT: usize = 256;

/// The sending half. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    // Unbounded by itself; every batch in it holds at least one permit.
    sender: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
    units: usize,
    records: Arc<AtomicU64>,
    runtime: tokio::runtime::Handle,
}

/// A queue for `bytes` bytes of bodies. A larger batch waits until the queue is empty.
#[must_use]
pub fn bounded(bytes: u64, runtime: tokio::runtime::Handle) -> (Queue, mpsc::Receiver<Message>) {
    let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
    let units = units.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
    let (sender, receiver) = mpsc::channel();
    let room = Arc::new(Semaphore::new(units));
    (Queue { sender, room, units, records: Arc::default(), runtime }, receiver)
}

impl Queue {
    /// Waits for room and hands `batch` over.
    ///
    /// # Errors
    /// [`Closed`] when the ledger has stopped.
    pub async fn send(&self, mut batch: Batch) -> Result<(), Closed> {
        let cost = (batch.bytes.len() / UNIT + 1).min(self.units);
        let cost = u32::try_from(cost).unwrap_or(u32::MAX);
        batch.permit = Some(self.room.clone().acquire_many_owned(cost).await.map_err(|_| Closed)?);
        let records = batch
            .items
            .iter()
            .filter(|item| matches!(item.kind, Kind::Record | Kind::Quarantine(_)))
            .count();
        self.records.fetch_add(records as u64, Ordering::Relaxed);
        self.tell(Message::Batch(batch))
    }

    /// [`Queue::send`] for a thread of its own; never to be called from a task.
    ///
    /// # Errors
    /// As [`Queue::send`].
    pub fn send_blocking(&self, batch: Batch) -> Result<(), Closed> {
        self.runtime.block_on(self.send(batch))
    }

    /// Hands over what needs no room.
    ///
    /// # Errors
    /// [`Closed`] when the ledger has stopped.
    pub fn tell(&self, message: Message) -> Result<(), Closed> {
        self.sender.send(message).map_err(|_| Closed)
    }

    /// Lets every waiting source know that the ledger has stopped.
    pub fn close(&self) {
        self.room.close();
    }

    /// Records (refused ones included) handed over since the start.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }
}

/// The key of a record that may be sent again.
#[must_use]
pub fn id_key(source: &str, id: &str) -> IdKey {
    use sha2::{Digest as _, Sha256};
    let digest: Digest =
        Sha256::new().chain_update(source).chain_update([0]).chain_update(id).finalize().into();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}
