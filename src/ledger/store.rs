//! Bytes into segment files: the writer's thread.
//!
//! It does what it is told in order, and nothing twice: a group is written, synced, and only then
//! are its senders told. When the disk refuses, the file is cut back to the last synced byte and the
//! whole group is written again from memory (after a failed sync the kernel may have dropped pages
//! that it will not write again), until it succeeds or the daemon is told to give up.

use super::{Error, config::Durability, follow::Place, segment};
use crate::{
    crash,
    disk::{Disk, File},
    queue::{Message, Queue},
    record::{Replies, Reply},
};
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Time between two tries on a disk that refuses.
const RETRY: Duration = Duration::from_millis(500);

/// Mode of a segment that will not change any more.
pub(super) const CLOSED: u32 = 0o440;

/// Answers for one connection.
pub(super) type Told = (Arc<Replies>, Vec<Reply>);

/// Lines that become durable together.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub bytes: Vec<u8>,
    pub told: Vec<Told>,
    pub permits: Vec<OwnedSemaphorePermit>,
    pub entries: u64,
    pub counts: Counts,
}

impl Group {
    /// Whether there is nothing to write and nobody to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.told.is_empty() && self.permits.is_empty()
    }
}

/// What a group adds to the published counters, once it is durable.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub sealed: u64,
    pub quarantined: u64,
    pub recognised: u64,
    pub gaps: u64,
}

/// What the writer is told to do.
#[derive(Debug)]
pub(super) enum Job {
    Write(Group),
    /// Close the file at hand (its last line is written) and go on in a new one.
    Roll(PathBuf),
}

/// What the world may know of the ledger; all counted since the start of the daemon.
#[derive(Debug, Default)]
pub struct Status {
    /// Records sealed and durable.
    pub sealed: AtomicU64,
    /// Records refused, the refusal durable.
    pub quarantined: AtomicU64,
    /// Records recognised as sealed before, and acknowledged again.
    pub recognised: AtomicU64,
    /// Ranges known to be lost unread.
    pub gaps: AtomicU64,
    /// Entries of any kind made durable.
    pub entries: AtomicU64,
    /// Bytes made durable.
    pub bytes: AtomicU64,
    /// Groups made durable.
    pub commits: AtomicU64,
    /// Next sequence number.
    pub next_seq: AtomicU64,
    /// Number of the open segment.
    pub segment: AtomicU64,
    /// Whether the disk refuses at the moment.
    pub refused: AtomicBool,
    /// How often it refused.
    pub refusals: AtomicU64,
    /// Passages of the ledger's loop; a watchdog looks whether it moves.
    pub beats: AtomicU64,
    /// What the disk said last when it refused.
    pub last_error: Mutex<String>,
    /// Set at the shutdown's deadline: stop trying.
    pub give_up: AtomicBool,
}

pub(super) struct Store {
    pub disk: Disk,
    pub file: File,
    /// Length up to which the file is known to be durable.
    pub durable: u64,
    pub durability: Durability,
    pub head: watch::Sender<Place>,
    pub status: Arc<Status>,
    pub queue: Queue,
}

impl Store {
    /// Works until the other side hangs up.
    pub(super) fn run(mut self, jobs: &mpsc::Receiver<Job>) -> Result<(), Error> {
        let done = self.work(jobs);
        if done.is_err() {
            // Let the sources and the ledger's loop know; either may be gone already.
            self.queue.close();
            let _ = self.queue.tell(Message::Failed);
        }
        done
    }

    fn work(&mut self, jobs: &mpsc::Receiver<Job>) -> Result<(), Error> {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Write(mut group) => {
                    self.persist(|store| store.write(&group.bytes))?;
                    self.durable += group.bytes.len() as u64;
                    crash::point(crash::AFTER_SYNC);
                    self.publish(&group);
                    group.permits.clear();
                    for (replies, answers) in group.told.drain(..) {
                        crash::point(crash::BEFORE_ACK);
                        replies.put(answers);
                    }
                    group.bytes.clear();
                    // The ledger's loop may have ended already; then nobody needs the memory.
                    let _ = self.queue.tell(Message::Written(group.bytes));
                }
                Job::Roll(path) => self.roll(path)?,
            }
        }
        Ok(())
    }

    fn publish(&self, group: &Group) {
        let status = &self.status;
        self.head.send_modify(|head| head.offset = self.durable);
        for (counter, by) in [
            (&status.sealed, group.counts.sealed),
            (&status.quarantined, group.counts.quarantined),
            (&status.recognised, group.counts.recognised),
            (&status.gaps, group.counts.gaps),
            (&status.entries, group.entries),
            (&status.bytes, group.bytes.len() as u64),
            (&status.commits, 1),
        ] {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Tries until it succeeds, or until it is to give up.
    fn persist(&mut self, mut what: impl FnMut(&mut Self) -> io::Result<()>) -> Result<(), Error> {
        loop {
            let Err(e) = what(self) else {
                if self.status.refused.swap(false, Ordering::SeqCst) {
                    tracing::info!(file = %self.file.path().display(), "the disk takes entries again");
                }
                return Ok(());
            };
            self.status.refusals.fetch_add(1, Ordering::Relaxed);
            let path = self.file.path().to_owned();
            if !self.status.refused.swap(true, Ordering::SeqCst) {
                tracing::error!(
                    file = %path.display(), error = %e,
                    "the disk refuses entries: sources are held, nothing is lost; \
                     free space or repair the disk, it goes on by itself"
                );
            }
            *self.status.last_error.lock().unwrap_or_else(PoisonError::into_inner) = e.to_string();
            if self.status.give_up.load(Ordering::SeqCst) {
                let _ = self.file.cut(self.durable);
                return Err(Error::io("write", &path, e));
            }
            crate::clock::sleep(RETRY);
            self.rewind();
        }
    }

    /// Back to the last durable byte, through a fresh descriptor.
    fn rewind(&mut self) {
        match self.disk.open(self.file.path()) {
            Ok(file) => self.file = file,
            Err(e) => tracing::debug!(error = %e, "the segment cannot be reopened yet"),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.length()? != self.durable {
            self.file.cut(self.durable)?;
        }
        if crash::is_due(crash::MID_APPEND) {
            self.file.append(bytes.get(..bytes.len() / 2 + 1).unwrap_or(bytes))?;
            crash::now();
        }
        for piece in self.pieces(bytes) {
            self.file.append(piece)?;
            crash::point(crash::AFTER_APPEND);
            if self.durability != Durability::Os {
                self.file.sync()?;
            }
        }
        Ok(())
    }

    fn roll(&mut self, path: PathBuf) -> Result<(), Error> {
        self.persist(|store| {
            store.file.sync()?;
            store.file.chmod(CLOSED)
        })?;
        crash::point(crash::ROLL_CLOSED);
        self.persist(|store| {
            // A name that a failed try left behind has no whole line yet and may be used again.
            let file = match store.disk.create(&path, 0o640) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => store.disk.open(&path),
                other => other,
            }?;
            if file.length()? > 0 {
                return Err(io::Error::other("a file of the next segment's name is already there"));
            }
            store.disk.sync_dir(&path)?;
            store.file = file;
            store.durable = 0;
            Ok(())
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(segment) = segment::number_of(&name) {
            self.head.send_replace(Place { segment, offset: 0 });
        }
        crash::point(crash::ROLL_CREATED);
        Ok(())
    }
}

impl Store {
    /// Whether a sync is owed after each line, after each group, or never.
    fn pieces<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        match self.durability {
            Durability::Each => bytes.split_inclusive(|b| *b == b'\n').collect(),
            Durability::Group | Durability::Os => vec![bytes],
        }
    }
}
