//! Files that grow and rotate: every whole line is handed on once, whatever is done to the file.
//!
//! One thread makes rounds. A round looks at the directories (`discover`), decides which files are
//! new, moved, copied or gone (`search`, `siblings`, `archives`), reads a few chunks of each that has grown
//! (`tail`), and lets go of those that ended. Polling with `stat` is the truth; the kernel's hints
//! (`watch`) only start a round early.
//!
//! What a file is: device, inode and the head of its first line, and the mark, which is the CRC of
//! the last span handed on. The mark is compared before reading on in a file that changed, so a
//! file that was truncated or rewritten is told from one that grew. There is no positions file: the
//! ledger hands back the last sealed span of each file at start.
//!
//! When a last line without its LF is given up as torn: its file was rotated (another file has its
//! name) and nothing happened to it for [`Patience::rotated`], or it was deleted and nothing
//! happened for [`Patience::deleted`], or it is deleted and the daemon stops. Until then it is held
//! and not counted as read.
//!
//! Compressed rotations are read where they are gzip; zstd is not known.

mod archives;
mod body;
mod discover;
mod emit;
mod gzip;
mod identity;
mod rotation;
mod search;
mod siblings;
mod tail;
mod warn;
mod watch;

#[cfg(test)]
mod tests;

use crate::clock;
use crate::record::{FileId, FileSpan, Position};
use crate::sources::{Closed, Output, config};
use crate::stop::Stop;
use discover::Globs;
use identity::{Key, Mark, Stamp};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tail::{CHUNK, Lost, Place, Shared, Tail, Visit};

/// Files held open at most; beyond it a file is opened again when it has grown.
const OPEN_FILES: usize = 256;
/// Numbers left free between two files, for older ones that turn up later.
const STEP: u64 = 16;
/// Time in which writes are gathered after a hint.
const GATHER: Duration = Duration::from_millis(5);

/// How long a file that will probably not grow is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A rotated file: its writer may not have been told yet.
    pub rotated: Duration,
    /// A deleted file, which costs disk space while it is held.
    pub deleted: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { rotated: Duration::from_secs(30), deleted: Duration::from_secs(5) }
    }
}

/// Why the source cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A glob cannot be compiled.
    #[error(
        "source {name}: \"{pattern}\" is no glob: {reason}; correct it in `paths` or `exclude`"
    )]
    Pattern {
        /// Name of the source.
        name: String,
        /// The text.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The ledger has stopped.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// A file that is gone, as far as reading goes: what is left is its last mark.
#[derive(Clone, Debug)]
struct Gone {
    id: FileId,
    name: Arc<str>,
    base: PathBuf,
    mark: Mark,
    /// Its size when last seen: what is past the mark is lost if it does not come back.
    size: u64,
    /// When it was first not found, where that is all that tells of its end: a listing that is read
    /// while files are renamed can miss one.
    missed: Option<Duration>,
}

/// The file source.
#[derive(Debug)]
pub struct Files {
    name: String,
    poll: Duration,
    patience: Patience,
    globs: Globs,
    /// Files being read, in the order in which they are read.
    tails: BTreeMap<u64, Tail>,
    /// Which of them has an inode.
    index: HashMap<Key, u64>,
    next: u64,
    /// Positions from the ledger whose file was not found yet.
    known: HashMap<Key, Vec<Position>>,
    /// When the newest of a base path's positions was sealed, in microseconds, and in which file.
    newest: HashMap<PathBuf, (i64, Key)>,
    /// When the last run ended, in microseconds: what was rotated later is ours to read, even under a
    /// name of which nothing was ever sealed.
    last_run: Option<i64>,
    /// Rotations that were there before we came and are not ours to read.
    old: HashMap<Key, i128>,
    listed: bool,
    /// The last pass: files are read to where they end now.
    stopping: bool,
    /// Files that cannot be judged until they change.
    waiting: Vec<(PathBuf, Option<Stamp>)>,
    /// Files that are gone and may come back compressed.
    orphans: Vec<Gone>,
    /// Files that were forgotten lately, should they turn up again.
    tombs: VecDeque<Gone>,
    scans: HashMap<Key, (Stamp, gzip::Scan)>,
    shared: Shared,
    begun: std::time::Instant,
}

impl Files {
    /// Prepares to read what `config` names. `positions` are the last sealed spans, one for each
    /// file; those of other sources are ignored.
    ///
    /// # Errors
    /// [`Error::Pattern`] when a glob is none.
    pub fn new(name: &str, config: &config::File, positions: Vec<Position>) -> Result<Self, Error> {
        let globs = Globs::new(&config.paths, &config.exclude).map_err(|(pattern, error)| {
            Error::Pattern { name: name.to_owned(), pattern, reason: error.msg.to_owned() }
        })?;
        let mut known: HashMap<Key, Vec<Position>> = HashMap::new();
        let mut newest = HashMap::new();
        for position in positions.into_iter().filter(|position| *position.source == *name) {
            let key = (position.span.id.dev, position.span.id.inode);
            let base = base_of(Path::new(&*position.span.path));
            let last = newest.entry(base).or_insert((position.sealed_at, key));
            if position.sealed_at > last.0 {
                *last = (position.sealed_at, key);
            }
            known.entry(key).or_default().push(position);
        }
        let max = usize::try_from(config.max_record.0).unwrap_or(usize::MAX);
        Ok(Files {
            name: name.to_owned(),
            poll: config.poll_interval.0,
            patience: Patience::default(),
            globs,
            tails: BTreeMap::new(),
            index: HashMap::new(),
            next: STEP,
            known,
            newest,
            last_run: None,
            old: HashMap::new(),
            listed: false,
            stopping: false,
            waiting: Vec::new(),
            orphans: Vec::new(),
            tombs: VecDeque::new(),
            scans: HashMap::new(),
            shared: Shared {
                now: Duration::ZERO,
                max,
                chunk: vec![0; CHUNK],
                warnings: warn::Warnings::default(),
            },
            begun: clock::monotonic(),
        })
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Reads until `stop`, then once more to what is the end of each file at that moment. Blocks;
    /// belongs on a thread of its own.
    ///
    /// # Errors
    /// [`Error::Closed`] when the ledger has stopped.
    pub fn run(mut self, out: &mut impl Output, stop: &Stop) -> Result<(), Error> {
        let mut watch = watch::Watch::new(stop);
        tracing::debug!(source = self.name, "reading files");
        while !stop.is_stopped() {
            let progress = self.round(out)?;
            watch.follow(self.globs.dirs());
            if !progress && stop.wait(self.poll) && !stop.is_stopped() {
                clock::sleep(GATHER);
            }
        }
        self.finish(out)
    }

    /// One round: looks for files, reads at most a few chunks of each. Returns whether anything was
    /// read, that is, whether another round at once makes sense.
    ///
    /// # Errors
    /// [`Error::Closed`] when the ledger has stopped.
    pub fn round(&mut self, out: &mut impl Output) -> Result<bool, Error> {
        let now = clock::monotonic().duration_since(self.begun);
        self.round_at(now, out)
    }

    /// Tells when the last run ended (microseconds since the epoch), if there was one.
    pub fn left_at(&mut self, micros: i64) {
        self.last_run = Some(micros);
    }

    /// Looks which files there are, without reading them yet: what is rotated from now on is noticed.
    ///
    /// # Errors
    /// As [`Files::round`].
    pub fn look(&mut self, out: &mut impl Output) -> Result<(), Error> {
        Ok(self.discover(out)?)
    }

    /// A round at a given monotonic time.
    fn round_at(&mut self, now: Duration, out: &mut impl Output) -> Result<bool, Error> {
        self.shared.now = now;
        self.discover(out)?;
        let mut progress = false;
        let mut unfinished: HashSet<PathBuf> = HashSet::new();
        let mut open = self.tails.values().filter(|tail| tail.is_open()).count();
        let numbers: Vec<u64> = self.tails.keys().copied().collect();
        for number in numbers {
            let Some(tail) = self.tails.get_mut(&number) else { continue };
            // An older rotation is read to its end before a newer one.
            if unfinished.contains(&tail.base) {
                continue;
            }
            let was_open = tail.is_open();
            match tail.visit(&mut self.shared, out)? {
                Visit::Idle => {}
                Visit::Read { more } => {
                    progress = true;
                    if more {
                        unfinished.insert(tail.base.clone());
                    }
                }
                Visit::Rewound(lost) => {
                    progress = true;
                    unfinished.insert(tail.base.clone());
                    self.rewound(number, lost, out)?;
                }
            }
            if let Some(tail) = self.tails.get_mut(&number) {
                open = open + usize::from(tail.is_open()) - usize::from(was_open);
                if open > OPEN_FILES && tail.place == Place::Here && !tail.is_compressed() {
                    open -= usize::from(tail.is_open());
                    tail.close();
                }
            }
        }
        self.let_go(out)?;
        out.flush()?;
        Ok(progress)
    }

    /// The last pass: to the end that each file has now, however fast it grows.
    fn finish(&mut self, out: &mut impl Output) -> Result<(), Error> {
        self.stopping = true;
        for tail in self.tails.values_mut().filter(|tail| !tail.is_compressed()) {
            tail.until = tail.size_now().unwrap_or(u64::MAX);
        }
        while self.round(out)? {}
        for tail in self.tails.values_mut().filter(|tail| tail.place == Place::Elsewhere) {
            if tail.has_rest() {
                tail.refuse_rest(&mut self.shared, out)?;
            }
        }
        // A deleted file cannot be found again: this is the last look at it.
        self.patience.deleted = Duration::ZERO;
        self.round(out)?;
        Ok(())
    }

    /// A file was truncated or rewritten. If what it was has been copied away, the copy is read on
    /// and nothing is lost; otherwise what is known to be lost is told.
    fn rewound(
        &mut self,
        number: u64,
        lost: Option<Lost>,
        out: &mut impl Output,
    ) -> Result<(), Closed> {
        let Some(tail) = self.tails.get(&number) else { return Ok(()) };
        let (name, had_more) = (tail.name.clone(), tail.reading.before.is_some());
        self.globs.force_now();
        self.discover(out)?;
        let adopted =
            had_more && self.tails.get(&number).is_none_or(|tail| tail.reading.before.is_none());
        if let (false, Some(Lost { reason, id, start, end })) = (adopted, lost) {
            out.gap(reason, &FileSpan { path: name, id, start, end, crc: 0 });
        }
        Ok(())
    }

    /// Ends files that will not grow: refuses what is torn, closes what is idle, drops what is gone.
    fn let_go(&mut self, out: &mut impl Output) -> Result<(), Closed> {
        let mut ended = Vec::new();
        for (number, tail) in &mut self.tails {
            if tail.place == Place::Elsewhere && tail.is_nameless() == Some(true) {
                tail.place = Place::Deleted;
            }
            let idle = self.shared.now.saturating_sub(tail.changed);
            let over = match tail.place {
                Place::Deleted => idle >= self.patience.deleted,
                Place::Here if !tail.is_open() || tail.is_compressed() => false,
                _ => idle >= self.patience.rotated && is_replaced(tail),
            };
            if !over {
                continue;
            }
            tail.until = u64::MAX;
            if tail.has_rest() || tail.place != Place::Here {
                tail.refuse_rest(&mut self.shared, out)?;
            }
            if tail.place == Place::Here {
                tail.close();
            } else {
                ended.push(*number);
            }
        }
        for number in ended {
            self.bury(number, None, out);
        }
        Ok(())
    }
}

/// Whether another file has taken the name that this one had.
fn is_replaced(tail: &Tail) -> bool {
    let taken = |path: &Path| {
        *path != *tail.at && Stamp::at(path).is_ok_and(|stamp| stamp.key != tail.key)
            || (*path == *tail.at && tail.place != Place::Here && Stamp::at(path).is_ok())
    };
    taken(&tail.first) || taken(&tail.base)
}

/// The path that a file had before rotation.
fn base_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(rotation::parse(&name).base)
}
