//! One file being read: what was handed on, where it stopped, and whether it is still that file.
//!
//! Between two visits only an offset and a mark are kept, never bytes: a partial last line is read
//! again when the file has grown. So memory does not depend on the number of files.

use super::body::Body;
use super::emit::{self, Emit, Reading};
use super::gzip::{self, Archive, Rest};
use super::identity::{self, Key, Stamp};
use super::warn::Warnings;
use crate::record::{FileId, FileSpan};
use crate::sources::lines::LineReader;
use crate::sources::{Closed, Output};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes read at a time.
pub(super) const CHUNK: usize = 256 << 10;
/// Chunks read from one file before the others have their turn.
const CHUNKS: usize = 4;
/// A longer mark is not read again while the daemon runs: it would cost more than it tells.
const LONGEST_MARK: u64 = 4 << 20;

/// What all visits share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Monotonic time of this round.
    pub(super) now: Duration,
    /// Longest record in bytes.
    pub(super) max: usize,
    /// Where chunks are read into.
    pub(super) chunk: Vec<u8>,
    /// What was complained about already.
    pub(super) warnings: Warnings,
}

/// Where a file was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At `at`.
    Here,
    /// Out of the directories that are searched, but it has a name somewhere.
    Elsewhere,
    /// It has no name any more.
    Deleted,
}

/// What a visit found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Nothing new.
    Idle,
    /// Something was read; `more` is there already.
    Read {
        /// The file was left before its end, for the others' sake.
        more: bool,
    },
    /// The file was truncated or rewritten; the next visit reads it from its beginning.
    Rewound(Option<Lost>),
}

/// Bytes that were there at an earlier look and were overwritten unread.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Why.
    pub(super) reason: &'static str,
    /// Identity the file had.
    pub(super) id: FileId,
    /// First byte.
    pub(super) start: u64,
    /// Offset after the last byte.
    pub(super) end: u64,
}

/// One file.
#[derive(Debug)]
pub(super) struct Tail {
    /// Path as it is sealed: where the file was found.
    pub(super) name: Arc<str>,
    /// Path at which it was found.
    pub(super) first: PathBuf,
    /// Path at which it is now, as far as is known.
    pub(super) at: PathBuf,
    /// Directory and name before rotation: files that share it are read in order.
    pub(super) base: PathBuf,
    pub(super) key: Key,
    pub(super) place: Place,
    pub(super) reading: Reading,
    /// Reads only up to here: bounds the last pass before a stop.
    pub(super) until: u64,
    /// Monotonic time of the last sign of life.
    pub(super) changed: Duration,
    body: Option<Body>,
    pub(super) seen: Option<Stamp>,
    more: bool,
    failed: bool,
    compressed: bool,
}

impl Tail {
    /// A file found at `at`, to be read as `reading` says.
    pub(super) fn new(at: &Path, key: Key, reading: Reading, now: Duration) -> Self {
        Tail {
            name: at.to_string_lossy().into(),
            first: at.to_owned(),
            at: at.to_owned(),
            base: super::base_of(at),
            key,
            place: Place::Here,
            reading,
            until: u64::MAX,
            changed: now,
            body: None,
            seen: None,
            more: false,
            failed: false,
            compressed: at.extension().is_some_and(|extension| extension == "gz"),
        }
    }

    /// Its identity as it is sealed, once it is known. An archive that goes on for a file whose
    /// inode is gone keeps that file's identity.
    pub(super) fn id(&self) -> Option<FileId> {
        self.reading.id(self.key)
    }

    /// Whether it holds a file descriptor.
    pub(super) fn is_open(&self) -> bool {
        self.body.is_some()
    }

    /// Whether it is read out of an archive.
    pub(super) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Whether its inode was made anew since it was last looked at.
    pub(super) fn was_reborn(&self, stamp: &Stamp) -> bool {
        self.seen.is_some_and(|seen| seen.born != stamp.born)
    }

    /// Lets the file descriptor go.
    pub(super) fn close(&mut self) {
        self.body = None;
    }

    /// Whether bytes past the last whole line are known to be there.
    pub(super) fn has_rest(&self) -> bool {
        self.size_seen() > self.reading.offset
    }

    /// Looks at the file and reads what is new, at most a few chunks.
    pub(super) fn visit(
        &mut self,
        shared: &mut Shared,
        out: &mut impl Output,
    ) -> Result<Visit, Closed> {
        let stamp = match self.stamp() {
            Ok(stamp) if stamp.key == self.key => stamp,
            // Another file has its path: discovery will find out.
            Ok(_) => return Ok(Visit::Idle),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Visit::Idle),
            Err(error) => return Ok(self.complain(shared, &error)),
        };
        let changed = self.seen.is_none_or(|seen| stamp.differs_from(&seen));
        if !changed && !self.more {
            return Ok(Visit::Idle);
        }
        match self.check(changed, &stamp) {
            Ok(Check::GoesOn) => {}
            Ok(Check::Wait) => {
                self.seen = Some(stamp);
                return Ok(Visit::Idle);
            }
            Ok(Check::Replaced(reason)) => return Ok(Visit::Rewound(self.rewind(reason))),
            Err(error) => return Ok(self.complain(shared, &error)),
        }
        shared.warnings.settled(&self.at);
        let outcome = self.read(shared, out);
        self.seen = (!std::mem::take(&mut self.failed)).then_some(stamp);
        outcome
    }

    fn stamp(&self) -> io::Result<Stamp> {
        match &self.body {
            Some(Body::Plain(file)) => file.metadata().map(|meta| Stamp::of(&meta)),
            _ => Stamp::at(&self.at),
        }
    }

    /// Its size at this moment.
    pub(super) fn size_now(&self) -> Option<u64> {
        self.stamp().ok().filter(|stamp| stamp.key == self.key).map(|stamp| stamp.size)
    }

    /// Says what is wrong, once, and leaves the file for a later round.
    fn complain(&mut self, shared: &mut Shared, error: &io::Error) -> Visit {
        shared.warnings.unreadable(&self.at, error);
        self.seen = None;
        Visit::Idle
    }

    /// Opens the file where needed and, if it changed, makes sure that it is still the file that
    /// was read: the same inode life, not shorter, with the last bytes handed on still in place.
    fn check(&mut self, changed: bool, stamp: &Stamp) -> io::Result<Check> {
        if self.compressed && (changed || self.body.is_none()) {
            let scan = gzip::scan(&self.at)?;
            if scan.rest == Rest::Incomplete {
                return Ok(Check::Wait);
            }
            self.body =
                Some(Body::Gzip(Box::new(Archive::new(self.at.clone(), scan.len, scan.rest))));
        } else if self.body.is_none() {
            let file = identity::open(&self.at)?;
            let same = Stamp::of(&file.metadata()?).key == self.key;
            if !same {
                return Ok(Check::Wait);
            }
            self.body = Some(Body::Plain(file));
        }
        if !changed {
            return Ok(Check::GoesOn);
        }
        if self.was_reborn(stamp) {
            return Ok(Check::Replaced("replaced"));
        }
        let size = match &self.body {
            Some(Body::Gzip(archive)) => archive.len(),
            _ => stamp.size,
        };
        if size < self.reading.reached() {
            return Ok(Check::Replaced("truncated"));
        }
        Ok(if self.still_marked()? { Check::GoesOn } else { Check::Replaced("rewritten") })
    }

    fn still_marked(&mut self) -> io::Result<bool> {
        let Some(mark) = self.reading.mark else { return Ok(true) };
        let Some(body) = &mut self.body else { return Ok(true) };
        // A mark from the ledger is always checked: it is all that is known of the file.
        if mark.end - mark.start > LONGEST_MARK && self.seen.is_some() {
            return Ok(true);
        }
        mark.matches(|into, at| body.read_at(into, at))
    }

    fn size_seen(&self) -> u64 {
        match (&self.body, self.compressed) {
            (Some(Body::Gzip(archive)), _) => archive.len(),
            (_, true) => self.reading.offset,
            _ => self.seen.map_or(0, |seen| seen.size),
        }
    }

    /// Forgets how far the file was read; tells what is known to be lost with it.
    fn rewind(&mut self, reason: &'static str) -> Option<Lost> {
        let (start, end) = (self.reading.offset, self.size_seen());
        let lost = self.id().filter(|_| end > start).map(|id| Lost { reason, id, start, end });
        self.reading.rewind(self.key);
        // It is what its present path says, whatever it was.
        self.name = self.at.to_string_lossy().into();
        self.first.clone_from(&self.at);
        self.base = super::base_of(&self.at);
        (self.seen, self.more) = (None, false);
        lost
    }

    /// Reads on from where the last visit stopped.
    fn read(&mut self, shared: &mut Shared, out: &mut impl Output) -> Result<Visit, Closed> {
        let begun = self.reading.reached();
        let reader = self.read_chunks(shared, out)?;
        if self.compressed && !self.more && !self.failed {
            self.end_archive(reader, out);
        } else if reader.in_long_line() || self.compressed {
            // Only what cannot be had again by reading is kept.
            self.reading.reader = Some(reader);
        } else {
            self.reading.hole = None;
        }
        if self.reading.reached() == begun && !self.more {
            return Ok(Visit::Idle);
        }
        self.changed = shared.now;
        Ok(Visit::Read { more: self.more })
    }

    fn read_chunks(
        &mut self,
        shared: &mut Shared,
        out: &mut impl Output,
    ) -> Result<LineReader, Closed> {
        let fresh = || LineReader::new(self.reading.offset, shared.max);
        let mut reader = self.reading.reader.take().unwrap_or_else(fresh);
        self.more = false;
        let Some(body) = &mut self.body else { return Ok(reader) };
        let begun = self.reading.offset;
        for chunks in 1.. {
            let at = reader.next_offset();
            let room = usize::try_from(self.until.saturating_sub(at)).unwrap_or(usize::MAX);
            let want = room.min(shared.chunk.len());
            let n = match body.read_at(shared.chunk.get_mut(..want).unwrap_or_default(), at) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) => {
                    shared.warnings.unreadable(&self.at, &error);
                    self.failed = true;
                    break;
                }
            };
            let bytes = shared.chunk.get(..n).unwrap_or_default();
            let mut emit =
                Emit { name: &self.name, key: self.key, reading: &mut self.reading, out };
            emit.feed(&mut reader, bytes, body);
            out.flush()?;
            // A line may be longer than a turn: never leave in the middle of one that is kept.
            let moved = self.reading.offset > begun || reader.in_long_line() || self.compressed;
            if chunks >= CHUNKS && moved {
                self.more = true;
                break;
            }
        }
        Ok(reader)
    }

    /// Ends a complete archive: it will not grow, so a last line without its LF is torn. Then
    /// refuses what follows the whole members, once; that takes no room in the decompressed
    /// content, so reading can go on there should the archive be repaired.
    fn end_archive(&mut self, reader: LineReader, out: &mut impl Output) {
        Emit { name: &self.name, key: self.key, reading: &mut self.reading, out }.torn(reader);
        let Some(Body::Gzip(archive)) = &self.body else { return };
        let (len, rest) = (archive.len(), archive.rest().clone());
        let told = self.reading.mark.is_some_and(|mark| mark.start == len && mark.end == len);
        if let (Rest::Bad { sha256, len: bytes }, false) = (rest, told) {
            let id = self.reading.id_or(self.key, identity::head_of_sha256(&sha256));
            let span = FileSpan { path: self.name.clone(), id, start: len, end: len, crc: 0 };
            out.refuse(emit::BAD_GZIP, sha256, bytes, &span);
            self.reading.passed(&span);
        }
        self.body = None;
    }

    /// Refuses the torn last line of a file that will not grow any more.
    pub(super) fn refuse_rest(
        &mut self,
        shared: &mut Shared,
        out: &mut impl Output,
    ) -> Result<(), Closed> {
        let reader = loop {
            let reader = self.read_chunks(shared, out)?;
            if !self.more {
                break reader;
            }
            self.reading.reader = Some(reader);
        };
        if std::mem::take(&mut self.failed) {
            return Ok(());
        }
        Emit { name: &self.name, key: self.key, reading: &mut self.reading, out }.torn(reader);
        if let Some(seen) = &mut self.seen {
            seen.size = seen.size.min(self.reading.offset);
        }
        Ok(())
    }

    /// Whether the file has no name any more; `None` when it is not open and nobody can tell.
    pub(super) fn is_nameless(&self) -> Option<bool> {
        match &self.body {
            Some(Body::Plain(file)) => file.metadata().ok().map(|meta| Stamp::of(&meta).links == 0),
            _ => None,
        }
    }
}

/// What a closer look at a changed file said.
enum Check {
    GoesOn,
    Wait,
    Replaced(&'static str),
}
