//! The ledger: append(batch) → sealed, synced, told.
//!
//! # Order of writes
//! Each arrow says what a crash there leaves, and who meets it at the next start.
//!
//! 1. **Seal** in memory: the line is hashed onto the chain and MACed. → Nothing on disk; the source
//!    reads the record again from the position it last saw sealed, or its client sends it again.
//! 2. **Append** the group's lines to the open segment. → Whole lines that nobody was told of: they
//!    stay, their ids and positions are read from them, so nothing is doubled. A torn last line:
//!    `recover` copies it aside, cuts it and seals a `recovery` entry.
//! 3. **Sync** (`fdatasync`). → As above, except that power loss is survived too.
//! 4. **Tell** the senders. → A client that was not told sends again and is recognised by its id.
//!
//! A roll is `segment_close` (a checkpoint) → sync → 0440 → new file, directory synced →
//! `segment_open`. A crash in between leaves a closed segment, or an empty file that `recover`
//! removes; the next start opens the segment anew.
//!
//! Two threads: [`run`](Ledger::run) seals, `store` writes, so that hashing goes on while the disk
//! syncs. Both use the same functions after a crash as on every other day.

pub mod archive;
pub mod chain;
pub mod config;
mod control;
pub mod follow;
mod ids;
pub mod keys;
pub mod line;
pub mod merkle;
pub mod note;
mod recall;
mod recover;
mod run;
pub mod segment;
mod store;

pub use control::{Start, config_reload};
pub use recover::Torn;
pub use store::Status;

use crate::{
    clock::{self, Clock, Date, Micros},
    disk::{self, Disk},
    queue::{Batch, Kind},
    record::{Digest, Outcome, Position, Reply},
};
use chain::MacKey;
use config::Config;
use follow::Place;
use keys::{Given, Keys};
use merkle::Frontier;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Instant,
};
use store::Group;
use tokio::sync::watch;

/// A wall clock that moved by less against the monotonic one is being slewed, not set.
const STEP: Micros = 2_000_000;

/// What went wrong with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings do not fit the ledger.
    #[error("{0}")]
    Config(String),
    /// A key is missing, unreadable or not this ledger's.
    #[error("{0}")]
    Key(String),
    /// Another daemon writes this ledger.
    #[error("{0} is in use: another veritail writes this ledger; one ledger has one writer")]
    InUse(PathBuf),
    /// What is on disk is not what was written.
    #[error(
        "{path}:{line}: {why}; the ledger is not continued: keep it as evidence, run `veritail \
         verify` on it, and start a new ledger in an empty directory"
    )]
    Tampered {
        /// The segment.
        path: PathBuf,
        /// Line number, from 1.
        line: u64,
        /// What does not fit.
        why: String,
    },
    /// The operating system refused.
    #[error("cannot {verb} {path}: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    fn io(verb: &'static str, path: &Path, source: io::Error) -> Self {
        Error::Io { verb, path: path.to_owned(), source }
    }
}

/// What a start found.
#[derive(Debug)]
pub struct Recovered {
    /// How far every file was sealed.
    pub positions: Vec<Position>,
    /// A tail that a crash tore.
    pub torn: Option<Torn>,
    /// Whether the ledger was made just now.
    pub is_new: bool,
    /// When its last entry was sealed.
    pub left_at: Option<Micros>,
}

/// An open ledger.
pub struct Ledger {
    config: Config,
    disk: Disk,
    clock: Clock,
    keys: Keys,
    mac: MacKey,
    seq: u64,
    prev_hash: Digest,
    frontier: Frontier,
    positions: recover::Positions,
    ids: ids::Ids,
    segment: segment::Number,
    date: Date,
    path: PathBuf,
    /// Length of the open segment, what is not yet written included.
    length: u64,
    /// Length of the segment's first line, which grows with the number of files read: a segment is
    /// full by what comes after it, else it could be full when it opens.
    opening: u64,
    last_at: Micros,
    stamp: String,
    base: (Micros, Instant),
    group: Group,
    /// The next thing to do is opening a segment.
    must_open: bool,
    /// Whether the last daemon said goodbye.
    clean: bool,
    /// Entries since the last checkpoint, checkpoints themselves left out.
    unsigned: u64,
    status: Arc<Status>,
    head: watch::Sender<Place>,
    _lock: disk::Lock,
}

impl Ledger {
    /// Opens the ledger in `config.dir`, creating it (keys included) when the directory holds none.
    /// Nothing is written to an existing ledger yet but a torn tail's copy and its cut.
    ///
    /// # Errors
    /// When another daemon has it, when keys are missing, when it was tampered with, or when the
    /// file system refuses.
    pub fn open(
        config: &Config,
        given: &Given,
        (disk, clock): (Disk, Clock),
    ) -> Result<(Self, Recovered), Error> {
        let dir = config.dir.clone();
        disk.create_dir(&dir, 0o750).map_err(|e| Error::io("create", &dir, e))?;
        let lock_path = dir.join("ledger.lock");
        let lock = disk::lock(&lock_path).map_err(|e| match e.kind() {
            io::ErrorKind::WouldBlock => Error::InUse(dir.clone()),
            _ => Error::io("lock", &lock_path, e),
        })?;
        let (newest, torn) = recover::newest(&disk, &dir)?;
        let is_new = newest.is_none();
        let tail = match newest {
            Some(path) => {
                let mut tail = recover::read(&path, config, given)?;
                recall::ids(&dir, &mut tail)?;
                tail
            }
            None => begin(config, &disk, given)?,
        };
        if tail.closed && !is_new {
            // A crash may have come between its last line and this.
            let closed = disk.chmod(&tail.path, store::CLOSED);
            closed.map_err(|e| Error::io("close", &tail.path, e))?;
        }
        let now = clock.now();
        let mut ledger = Ledger {
            config: config.clone(),
            last_at: recover::micros(&tail.recorded_at),
            stamp: String::new(),
            base: (now, clock::monotonic()),
            disk,
            clock,
            mac: tail.mac,
            keys: tail.keys,
            seq: tail.next_seq,
            prev_hash: tail.prev_hash,
            frontier: tail.frontier,
            positions: tail.positions,
            ids: tail.ids,
            segment: tail.segment,
            date: Date::of(recover::micros(&tail.recorded_at)),
            path: tail.path,
            length: tail.length,
            opening: 0,
            group: Group::default(),
            must_open: tail.closed || is_new,
            clean: tail.clean,
            unsigned: tail.unsigned,
            status: Arc::default(),
            head: watch::Sender::default(),
            _lock: lock,
        };
        ledger.status.next_seq.store(ledger.seq, Ordering::Relaxed);
        let positions = ledger.positions.values().cloned().collect();
        let left_at = (!is_new).then_some(ledger.last_at);
        ledger.start(torn.as_ref());
        Ok((ledger, Recovered { positions, torn, is_new, left_at }))
    }

    /// What the world may know of it.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.clone()
    }

    /// How far it is durable; moves with every group.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<Place> {
        self.head.subscribe()
    }

    /// The MAC master, from which other keyed digests are derived.
    #[must_use]
    pub fn master(&self) -> &Digest {
        &self.keys.master
    }

    /// The stream's name.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.keys.stream
    }

    /// The public key in force.
    #[must_use]
    pub fn vkey(&self) -> &str {
        &self.keys.vkey
    }

    /// Notes what happened before this start; sealed with the first group.
    fn start(&mut self, torn: Option<&Torn>) {
        if self.must_open {
            return self.open_segment(torn);
        }
        self.note_torn(torn);
    }

    fn note_torn(&mut self, torn: Option<&Torn>) {
        if let Some(torn) = torn {
            let body = control::recovery(torn.bytes, &torn.sha256, &torn.file);
            self.control(&body);
        }
    }

    /// Seals `segment_open` as the first line of the next segment. The store must have been told to
    /// roll, or the file is yet to be created by [`Ledger::run`].
    fn open_segment(&mut self, torn: Option<&Torn>) {
        let previous = (self.seq > 0).then(|| {
            let file = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (self.segment, file, self.seq - 1)
        });
        self.refresh_stamp();
        self.segment += 1;
        self.date = Date::of(self.last_at);
        self.path = self.config.dir.join(segment::file_name(self.date, self.segment));
        self.length = 0;
        let mut positions: Vec<Position> = self.positions.values().cloned().collect();
        positions.sort_by(|a, b| (&a.source, &a.span.id).cmp(&(&b.source, &b.span.id)));
        let body = control::segment_open(&control::Open {
            segment: self.segment,
            previous,
            frontier: self.frontier.parts(),
            vkey: &self.keys.vkey.clone(),
            key_id: keys::FIRST_KEY_ID,
            positions,
        });
        self.seal(&body);
        self.opening = self.length;
        self.must_open = false;
        self.status.segment.store(self.segment, Ordering::Relaxed);
        self.note_torn(torn);
    }

    /// Appends one line to the group at hand, under the stamp in force.
    fn seal(&mut self, body: &[u8]) -> (u64, Digest) {
        let seq = self.seq;
        let envelope = line::Envelope {
            stream: &self.keys.stream,
            seq,
            prev_hash: self.prev_hash,
            recorded_at: &self.stamp,
            key_id: keys::FIRST_KEY_ID,
        };
        let before = self.group.bytes.len();
        let hash = line::write(&mut self.group.bytes, &envelope, body, &self.mac);
        self.length += (self.group.bytes.len() - before) as u64;
        self.frontier.push(merkle::leaf(&hash));
        self.prev_hash = hash;
        self.seq += 1;
        self.group.entries += 1;
        self.unsigned += 1;
        (seq, hash)
    }

    /// Seals an entry of the ledger's own.
    fn control(&mut self, body: &[u8]) {
        self.refresh_stamp();
        self.seal(body);
    }

    /// Brings the stamp up to now. A wall clock that went back, or jumped against the monotonic one,
    /// is sealed as `clock_step` under its own new time, so that no entry goes back unexplained.
    fn refresh_stamp(&mut self) {
        let now = self.clock.now();
        let (wall, monotonic) = self.base;
        let elapsed = clock::monotonic().duration_since(monotonic).as_micros();
        let expected = wall.saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX));
        let stepped = (now - expected).abs() > STEP && matches!(self.clock, Clock::System);
        if (stepped || now < self.last_at - STEP) && self.seq > 0 && !self.must_open {
            let from = clock::rfc3339(if stepped { expected } else { self.last_at });
            let to = clock::rfc3339(now);
            tracing::warn!(from, to, "the wall clock was set; sealed as clock_step");
            self.base = (now, clock::monotonic());
            let step = now - if stepped { expected } else { self.last_at };
            self.last_at = now;
            self.stamp.clone_from(&to);
            let body = control::clock_step(&from, &to, step);
            self.seal(&body);
        }
        // Slewing may take it back a little; time in the ledger then stands still.
        self.last_at = self.last_at.max(now);
        self.stamp = clock::rfc3339(self.last_at);
    }

    /// Seals a checkpoint over all entries so far; `close` ends the segment with it.
    fn checkpoint(&mut self, close: bool) {
        self.refresh_stamp();
        let root = self.frontier.root();
        let size = self.frontier.size();
        let text = note::Checkpoint { origin: self.keys.stream.clone(), size, root }.to_text();
        let signed = self.keys.signer.sign(&text);
        let body = control::checkpoint(size, &root, &signed, close.then_some(self.segment));
        self.seal(&body);
        self.unsigned = 0;
    }

    /// Seals a batch into the group at hand.
    fn append(&mut self, mut batch: Batch) {
        self.refresh_stamp();
        let mut answers = Vec::new();
        for item in std::mem::take(&mut batch.items) {
            let known = item.ticket.as_ref().and_then(|ticket| self.ids.get(&ticket.key));
            let (seq, chain_hash) = match known {
                Some(seal) => seal,
                None => self.seal(batch.bytes.get(item.range).unwrap_or_default()),
            };
            let counts = &mut self.group.counts;
            match (&item.kind, known) {
                (Kind::Record, Some(_)) => counts.recognised += 1,
                (Kind::Record, None) => counts.sealed += 1,
                (Kind::Quarantine(_), _) => counts.quarantined += 1,
                (Kind::Gap, _) => counts.gaps += 1,
                (Kind::Note, _) => {}
            }
            let Some(ticket) = item.ticket else { continue };
            let outcome = match item.kind {
                Kind::Quarantine(reason) => Outcome::Quarantined { seq, reason },
                _ => {
                    self.ids.put(ticket.key, (seq, chain_hash));
                    Outcome::Sealed { seq, chain_hash }
                }
            };
            answers.push(Reply { n: ticket.n, id: ticket.id, outcome });
        }
        for mut position in batch.positions.drain(..) {
            position.sealed_at = self.last_at;
            self.positions.insert((position.source.clone(), position.span.id), position);
        }
        for (source, file) in batch.forgotten.drain(..) {
            self.positions.remove(&(source, file));
        }
        if let Some(replies) = batch.replies.take()
            && !answers.is_empty()
        {
            self.group.told.push((replies, answers));
        }
        self.group.permits.extend(batch.take_permit());
    }
}

/// The state of a ledger that has no entry yet.
fn begin(config: &Config, disk: &Disk, given: &Given) -> Result<recover::Tail, Error> {
    let (_, highest) = segment::list(&config.dir)?;
    if highest > 0 {
        return Err(Error::Tampered {
            path: config.dir.clone(),
            line: 0,
            why: format!("segment {highest} is archived, but the newest segment is missing"),
        });
    }
    let keys = match Keys::named(&config.dir, &config.service) {
        Some(stream) => Keys::load(&config.dir, &stream, given)?,
        None => Keys::create(disk, &config.dir, &config.service, given)?,
    };
    Ok(recover::Tail {
        mac: MacKey::derive(&keys.master, &keys.stream, keys::FIRST_KEY_ID),
        prev_hash: chain::genesis(&keys.stream, &keys.vkey),
        stream: keys.stream.clone(),
        keys,
        path: PathBuf::new(),
        segment: 0,
        length: 0,
        next_seq: 0,
        frontier: Frontier::new(),
        recorded_at: String::new(),
        closed: true,
        clean: true,
        unsigned: 0,
        positions: recover::Positions::new(),
        ids: ids::Ids::new(config.remember_ids),
    })
}

#[cfg(test)]
mod tests;
