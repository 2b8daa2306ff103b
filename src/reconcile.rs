//! Our count of a UTC day against OpenRouter's own: requests, tokens and dollars by model and
//! provider, and the very calls that one of the two lacks. Every agent logs; this shows that nothing
//! is missing.
//!
//! ```text
//! GET  /activity?date=…         what OpenRouter counted ─┐
//! the ledger, streamed          what was sealed ─────────┼─► compare ─► Report ─► sealed, printed
//! POST /analytics/query         every generation id ─────┘
//! ```
//! Reads the ledger and never writes it; the pipeline seals what comes out. All of it runs on one
//! thread of its own, with memory that does not grow with the day: a day with more calls than
//! [`count::MOST_IDS`] is read in several windows.
//!
//! Which day a call belongs to is told by its generation id, which carries the second in which
//! OpenRouter made it; so both sides draw the line at midnight alike. Only ids of other forms are
//! dated by the record. What the ledger says is taken as it stands: whether it may be believed is
//! `verify`'s question.

mod ask;
mod compare;
pub mod config;
mod control;
mod count;
mod day;
mod ids;
mod line;
mod money;
mod report;
mod timer;

pub use compare::{Compared, Figures, Row};
pub use control::{Listener, Request, ask_daemon, socket_path};
pub use count::Source;
pub use day::{Day, Unfit};
pub use report::{AskedBy, ById, Calls, Named, Report, Verdict};
pub use timer::Timer;

use crate::{
    ledger,
    secret::{self, Secret},
    stop::Stop,
};
use ask::Asker;
use config::Config;
use count::Window;
use report::Draft;

/// Why a day could not be compared. Never quotes what a server said, nor a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The management key is not to be had.
    #[error("reconcile.management_key: {0}")]
    Secret(#[from] secret::Error),
    /// OpenRouter does not accept the key.
    #[error(
        "OpenRouter refused the key with status {0} on {1}; reconcile.management_key must be a \
         management key, which is made on a page of its own and makes no calls"
    )]
    KeyRefused(u16, &'static str),
    /// OpenRouter refused the question.
    #[error("OpenRouter answered {1} with status {0}; is the day within the last 30?")]
    Refused(u16, &'static str),
    /// No usable answer, however often asked.
    #[error("no usable answer from OpenRouter to {0}: {1}; try again later")]
    NoAnswer(&'static str, String),
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The operating system refused.
    #[error("cannot {0}: {1}")]
    System(&'static str, std::io::Error),
    /// One minute holds more calls than fit into memory.
    #[error("more than {} calls a minute cannot be compared by id", count::MOST_IDS)]
    TooMany,
    /// The daemon stops.
    #[error("stopped before the day was compared")]
    Stopped,
}

/// Compares one day; blocks until it is done, on a runtime of its own.
///
/// # Errors
/// When either side cannot be read; a difference is no error.
pub fn reconcile(
    config: &Config,
    key: &Secret,
    source: &Source,
    (day, asked_by): (Day, AskedBy),
    stop: &Stop,
) -> Result<Report, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::System("start a runtime", e))?;
    let asker = Asker::new(config, key)?;
    let (rows, sha256) = runtime.block_on(asker.activity(day))?;
    let mut draft = Draft::new(day, asked_by, config);
    draft.activity(&rows, sha256);
    let mut windows = vec![Window::of(day)];
    while let Some(window) = windows.pop() {
        let Some(mut ids) = source.identify(window, stop)? else {
            let (first, second) = window.halves().ok_or(Error::TooMany)?;
            windows.extend([second, first]);
            continue;
        };
        if draft.by_id() {
            let listed = runtime.block_on(asker.list(window, &mut |id| {
                draft.listed(id, window, &mut ids);
            }));
            match listed {
                Ok(()) => {}
                Err(Error::Refused(status, _) | Error::KeyRefused(status, _)) => {
                    draft.no_ids(&format!("OpenRouter answered with status {status}"));
                }
                Err(Error::NoAnswer(_, why)) => draft.no_ids(&why),
                Err(other) => return Err(other),
            }
        }
        source.count(window, &mut ids, &mut draft, stop)?;
    }
    Ok(draft.finish(&rows))
}
