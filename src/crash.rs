//! Named places at which a test may kill the process, as `kill -9` would.
//!
//! Debug builds read `VERITAIL_CRASH=<point>:<n>` and die at the n-th passage of that point. In a
//! release build [`point`] is empty.

/// After an entry's bytes were written to the segment, before they are synced.
pub const AFTER_APPEND: &str = "after_append";
/// After the sync, before anybody is told.
pub const AFTER_SYNC: &str = "after_sync";
/// After the sync, in the middle of telling.
pub const BEFORE_ACK: &str = "before_ack";
/// After the old segment's last line, before the new file exists.
pub const ROLL_CLOSED: &str = "roll_closed";
/// After the new segment's file exists, before its first line.
pub const ROLL_CREATED: &str = "roll_created";
/// After a torn tail was copied aside, before it is cut.
pub const RECOVERY_COPIED: &str = "recovery_copied";
/// After a torn tail was cut, before the recovery entry.
pub const RECOVERY_CUT: &str = "recovery_cut";
/// After the compressed copy of a segment is in place, before the plain one goes.
pub const COMPRESS_COPIED: &str = "compress_copied";

/// Dies here if the environment asks for it; see the module's page.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::sync::{OnceLock, atomic::AtomicU64, atomic::Ordering};
    static PLAN: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("VERITAIL_CRASH").ok()?;
        let (point, passage) = text.split_once(':')?;
        Some((point.to_owned(), AtomicU64::new(passage.parse().ok()?)))
    });
    if let Some((point, left)) = plan
        && point == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let me = rustix::process::getpid();
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    }
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
pub fn point(_name: &str) {}
