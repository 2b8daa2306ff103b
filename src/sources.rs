//! Sources: where records come in.
pub mod config;
pub mod lines;
pub mod stdin;
pub mod stop;
pub mod unix;

pub use crate::record::Closed;
use crate::record::{FileId, FileSpan};

/// What a source of files hands on. The caller parses, redacts and seals; the source only reads.
pub trait Output {
    /// One whole line, LF excluded.
    fn record(&mut self, line: &[u8], at: &FileSpan);
    /// A range refused unparsed: a line past the limit, or a torn line at the end of a file that
    /// will not grow again. `sha256` and `len` are of the range without its final LF.
    fn refuse(&mut self, reason: &str, sha256: [u8; 32], len: u64, at: &FileSpan);
    /// A range known to be lost unread, and why.
    fn gap(&mut self, reason: &str, at: &FileSpan);
    /// The file is gone and was read to its end: its position need not be kept.
    fn forget(&mut self, id: &FileId);
    /// A good moment to hand on what was collected; waits while the ledger is behind.
    ///
    /// # Errors
    /// [`Closed`] when the ledger has stopped: the source stops too.
    fn flush(&mut self) -> Result<(), Closed>;
}
