//! Named places at which a test may kill the process, as `kill -9` would.
//!
//! Debug builds read `VERITAIL_CRASH=<point>:<n>` and die at the n-th passage of that point. In a
//! release build no point is ever due.

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

/// In the middle of a group's bytes: the segment ends in a torn line.
pub const MID_APPEND: &str = "mid_append";

/// Dies here if the environment asks for it; see the module's page.
pub fn point(name: &str) {
    if is_due(name) {
        now();
    }
}

/// Whether this passage is the one at which the environment asks to die.
#[cfg(debug_assertions)]
#[must_use]
pub fn is_due(name: &str) -> bool {
    use std::sync::{OnceLock, atomic::AtomicU64, atomic::Ordering};
    static PLAN: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("VERITAIL_CRASH").ok()?;
        let (point, passage) = text.split_once(':')?;
        Some((point.to_owned(), AtomicU64::new(passage.parse().ok()?)))
    });
    plan.as_ref()
        .is_some_and(|(point, left)| point == name && left.fetch_sub(1, Ordering::SeqCst) == 1)
}

/// Never, in a release build.
#[cfg(not(debug_assertions))]
#[must_use]
pub fn is_due(_name: &str) -> bool {
    false
}

/// Dies at once.
pub fn now() {
    let me = rustix::process::getpid();
    let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
}
