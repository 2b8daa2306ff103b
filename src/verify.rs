//! Verifies a ledger: offline, read-only, without the daemon's configuration or its private keys.
//!
//! Each file is walked once, in parallel with others, by itself: it begins with the Merkle frontier
//! of all entries before it. Then the files are put in the order of their segment numbers and the
//! joints are checked. Nothing stops at a first finding.
//!
//! Two verdicts: *integrity* (what is there is what was written) and *completeness* (nothing that
//! was there is gone). A walk alone can refute completeness and never prove it: whether the end was
//! cut off, only a checkpoint held elsewhere can tell.
//!
//! What counts as the end: entries after the last checkpoint are normal in a ledger that is being
//! written or whose daemon was killed. Their MACs vouch for them if the MAC key is at hand; else,
//! and where no checkpoint exists at all, the verdict is `UNSIGNED_TAIL`, "cannot conclude".
//!
//! ```text
//! files ─► lines ─► walk (place, control) ─┐
//!          lines ─► walk (place, control) ─┴► stitch, trust ─► report
//! ```

mod control;
mod files;
mod finding;
mod keys;
mod lines;
mod place;
mod report;
mod stitch;
mod trust;
mod walk;

pub use control::{Counts, Sealed};
pub use finding::{Finding, Kind, Severity};
pub use keys::Origin;
pub use report::{Completeness, Integrity, KeyUse, Report, Verdict};

use crate::{clock::Micros, ledger::note::KeyError};
use keys::Keys;
use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use walk::Walked;

/// Threads that walk at once, at most.
const MAX_THREADS: usize = 64;

/// What to verify, and with what.
#[derive(Clone, Default)]
pub struct Options {
    /// Segment files, and directories of them.
    pub paths: Vec<PathBuf>,
    /// Public keys as vkey text, the stream's first key first; a text may hold several lines.
    pub public_keys: Vec<String>,
    /// The MAC master.
    pub mac_master: Option<[u8; 32]>,
    /// How old the newest entry may be.
    pub max_age: Option<Duration>,
    /// The time now, for `max_age`.
    pub now: Micros,
    /// Files walked at once; 0 is taken as 1.
    pub threads: usize,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A public key is none.
    #[error("{0}; give the text of keys/public.vkey as it is")]
    PublicKey(KeyError),
}

impl Error {
    fn io(path: &Path, error: std::io::Error) -> Self {
        Error::Io { path: path.to_owned(), error }
    }

    /// Exit status: 3 for what was asked, 4 for what the system could not do.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::PublicKey(_) => 3,
            Error::Io { .. } => 4,
        }
    }
}

/// Verifies.
///
/// # Errors
/// Only when files cannot be read or a key is none; whatever is wrong with a ledger is in the
/// report.
pub fn verify(options: &Options) -> Result<Report, Error> {
    let keys = Keys::gather(options)?;
    let files = files::gather(&options.paths)?;
    let walked = walk_all(&files, &keys, options.threads)?;
    let stitched = stitch::stitch(walked, keys, options);
    Ok(Report::new(stitched, options))
}

/// Walks along all files, several at once.
fn walk_all(files: &[PathBuf], keys: &Keys, threads: usize) -> Result<Vec<Walked>, Error> {
    let next = AtomicUsize::new(0);
    let walked = Mutex::new(Vec::with_capacity(files.len()));
    let work = || {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = walk::walk(path, keys);
            walked.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(files.len()).min(MAX_THREADS) {
            scope.spawn(work);
        }
        work();
    });
    walked.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
}

#[cfg(test)]
mod tests;
