//! What OpenRouter's generation endpoint knows of a sealed call, sealed as an entry of its own.
//!
//! ```text
//! ledger ─► follow ─► waiting (who, when, with which key) ─► client ─► answer ─► queue ─► ledger
//! ```
//! It runs on a thread of its own behind the ledger, which is its queue: what it has not come to yet
//! waits there, so that with OpenRouter dead for a day memory stays where it is and nothing else
//! waits. There is no second state: a restart recomputes who waits from the ledger. An answer is
//! sealed once, because a call stays in `waiting` until its answer is durable, and because a start
//! looks for all answers before it asks for anything.

pub mod answer;
pub mod answered;
pub mod breaker;
pub mod client;
pub mod config;
mod counters;
pub mod key;
mod keyring;
pub mod lane;
pub mod mismatch;
pub mod money;
mod run;
mod scan;
pub mod schedule;
pub mod waiting;

pub use counters::Counters;

use crate::{
    clock::Clock,
    entry::{Policies, Policy},
    ledger::{Status, follow::Place},
    queue::Queue,
    secret::{self, Environment},
};
use config::Config;
use keyring::Keyring;
use lane::Limits;
use schedule::Schedule;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::watch;

/// Why enrichment cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key is not to be had.
    #[error("enrich: {0}")]
    Secret(#[from] secret::Error),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The operating system gave no thread.
    #[error("cannot start the thread that asks OpenRouter: {0}")]
    Thread(std::io::Error),
}

/// What it needs of the daemon.
#[derive(Clone, Debug)]
pub struct Access {
    /// The ledger's directory.
    pub dir: PathBuf,
    /// How far the ledger is durable.
    pub head: watch::Receiver<Place>,
    /// Where the place of a restart is kept.
    pub status: Arc<Status>,
    /// The way into the ledger.
    pub queue: Queue,
    /// What is kept of texts.
    pub policies: Policies,
    /// What is told of it.
    pub counters: Arc<Counters>,
}

/// Settings with the keys that they refer to.
#[derive(Debug)]
pub struct Settings {
    schedule: Schedule,
    limits: Limits,
    keyring: Keyring,
    client: client::Client,
}

impl Settings {
    /// Fetches the keys and sets up the client.
    ///
    /// # Errors
    /// When a key is not to be had, or TLS cannot be set up.
    pub fn new(config: &Config, environment: &Environment, policy: &Policy) -> Result<Self, Error> {
        let millis =
            |span: crate::units::Span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
        Ok(Settings {
            schedule: Schedule {
                first_try: millis(config.first_try),
                give_up_after: millis(config.give_up_after),
            },
            limits: Limits { concurrency: config.concurrency, rate: config.rate },
            keyring: Keyring::new(config, environment, policy)?,
            client: client::Client::new(config.timeout.0, Clock::System)?,
        })
    }
}

/// Enrichment in motion. It ends when this is dropped, at once and without being waited for: nothing
/// is lost by it, since the ledger knows who waits.
#[derive(Debug)]
pub struct Enricher {
    wishes: watch::Sender<Option<Arc<Settings>>>,
}

impl Enricher {
    /// Begins where the ledger says that the oldest call waits. The ledger must be running.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(settings: Settings, access: Access) -> Result<Self, Error> {
        let (wishes, wished) = watch::channel(Some(Arc::new(settings)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Thread)?;
        std::thread::Builder::new()
            .name("enrich".into())
            .spawn(move || runtime.block_on(run::run(&access, wished)))
            .map_err(Error::Thread)?;
        Ok(Enricher { wishes })
    }

    /// Goes on under other settings, or idles without any, as soon as the answers on their way are
    /// durable.
    pub fn reload(&self, settings: Option<Settings>) {
        self.wishes.send_replace(settings.map(Arc::new));
    }
}
