//! Wires the stages, starts them, drains them in flow order. The only file that knows them all.
//!
//! ```text
//! sources ─► intake (parse, redact, encode) ─► queue ─► ledger ─► told, in the order of writes
//!                                                ▲         └─► enrich ─┐
//!                                                └─────────────────────┘
//! ```
//! A stop follows the flow under one deadline: sources read what is there and end; the ledger seals
//! and syncs what they left, says goodbye and ends; what is not done by then is left for the next
//! start, and the exit status says so.

pub mod once;
mod parts;
mod reconciler;
mod reload;

use crate::{
    clock::{Clock, Micros},
    config::{Config, Problem},
    disk::Disk,
    enrich::{self, Access, Enricher, Settings},
    entry::Policies,
    intake::Intake,
    ledger::{self, Ledger, Status, archive::Archiver, follow::Place},
    queue::{self, Message, Queue},
    record::Position,
    secret,
    shutdown::{self, Deadline, Event, Systemd},
    sources::{self, Left as LeftOff, Running},
    stop::Stop,
    telemetry::Health,
};
use parts::{admin, announce, given, policy, settings, start};
use reconciler::Reconciler;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

/// After the deadline, how long the ledger still has to notice that it is to give up.
const LAST_GASP: Duration = Duration::from_secs(2);

/// Why the daemon could not run, or could not end well.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// A secret that the config refers to.
    #[error(transparent)]
    Secret(#[from] secret::Error),
    /// A redaction rule.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Redact(Vec<crate::redact::Error>),
    /// Enrichment.
    #[error(transparent)]
    Enrich(#[from] enrich::Error),
    /// A source.
    #[error(transparent)]
    Source(#[from] sources::Error),
    /// The operating system refused something at the start.
    #[error("cannot {0}: {1}")]
    System(&'static str, std::io::Error),
    /// Not everything that was received is durable.
    #[error(
        "the shutdown deadline passed before everything received was durable; nothing that was \
         acknowledged is lost, the rest is read again at the next start"
    )]
    NotDurable,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything received is durable.
    Drained,
    /// At once, because it was asked twice.
    AtOnce,
}

/// Reads the config again.
pub type Reload<'a> = dyn Fn() -> Result<Config, Vec<Problem>> + 'a;

/// Runs the daemon until it is told to stop, or until every source has ended; `ready` is called
/// once when records are accepted.
///
/// # Errors
/// When something cannot be opened at the start, or when the end is not durable.
pub fn run(config: Config, (reload, ready): (&Reload<'_>, &dyn Fn())) -> Result<Ended, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::System("start the runtime", e))?;
    let ended = runtime.block_on(async {
        let mut events = shutdown::events().map_err(|e| Error::System("handle signals", e))?;
        let systemd = Systemd::new(|name| std::env::var(name).ok());
        let (mut daemon, left) = Daemon::start(config, systemd, &mut events).await?;
        let left = match left {
            Some(left) => left,
            None => {
                ready();
                daemon.serve(&mut events, reload).await
            }
        };
        daemon.drain(left, &mut events).await
    });
    // A source that did not end in time must not hold up the end.
    runtime.shutdown_background();
    ended
}

/// The stages in motion.
struct Daemon {
    config: Config,
    queue: Queue,
    policies: Policies,
    master: [u8; 32],
    status: Arc<Status>,
    head: watch::Receiver<Place>,
    enricher: Option<Enricher>,
    health: Arc<Health>,
    systemd: Systemd,
    sources: Vec<Running>,
    tasks: JoinSet<String>,
    ledger: oneshot::Receiver<Result<(), ledger::Error>>,
    stop_admin: watch::Sender<bool>,
    admin: JoinSet<std::io::Result<()>>,
    stop_archiver: Stop,
    reconciler: Reconciler,
}

/// What made the daemon leave its main loop.
enum Left {
    Asked,
    AtOnce,
    SourcesEnded,
    LedgerEnded(Result<(), ledger::Error>),
}

impl Daemon {
    /// Opens everything. It may be told to stop before it gets there: on a disk that refuses, the
    /// start waits for the disk.
    async fn start(
        config: Config,
        systemd: Systemd,
        events: &mut mpsc::Receiver<Event>,
    ) -> Result<(Self, Option<Left>), Error> {
        let given = given(&config)?;
        let doors = (Disk::from_environment(), Clock::System);
        let (ledger, recovered) = Ledger::open(&config.ledger, &given, doors)?;
        announce(&ledger, &recovered, &config);
        let (status, master, head) = (ledger.status(), *ledger.master(), ledger.head());
        let policies = Policies::new(policy(&config, &master)?);
        let enrich = settings(&config, &policies.get())?;
        let (queue, messages) =
            queue::bounded(config.ledger.queue_size.0, tokio::runtime::Handle::current());
        let health = Arc::new(Health::new(status.clone(), queue.clone()));
        let (stop_admin, admin) = admin(&config, &health).await?;
        let start = start(&config, &policies);
        let (ready, is_ready) = oneshot::channel();
        let (done, ended) = oneshot::channel();
        let own = queue.clone();
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || {
                let result = ledger.run(&start, (own, &messages), ready);
                // Whoever waited may have given up waiting.
                let _ = done.send(result);
            })
            .map_err(|e| Error::System("start the ledger's thread", e))?;
        let mut daemon = Daemon {
            config,
            queue,
            policies,
            master,
            status,
            head,
            enricher: None,
            health,
            systemd,
            sources: Vec::new(),
            tasks: JoinSet::new(),
            ledger: ended,
            stop_admin,
            admin,
            stop_archiver: Stop::default(),
            reconciler: Reconciler::default(),
        };
        tokio::select! {
            ready = is_ready => if ready.is_err() {
                return Err(daemon.ledger_error().await);
            },
            left = asked_to_stop(events) => return Ok((daemon, Some(left))),
        }
        let environment = daemon.config.environment.clone();
        for source in daemon.config.sources.clone() {
            daemon.open(&source, (&recovered.positions, recovered.left_at), &environment)?;
        }
        daemon.enrich(enrich)?;
        daemon.archive()?;
        daemon.reconcile();
        daemon.health.started.store(true, Ordering::SeqCst);
        daemon.systemd.tell("READY=1\nSTATUS=sealing");
        tracing::info!(sources = daemon.sources.len(), "ready");
        Ok((daemon, None))
    }

    /// Compresses closed segments, on a thread of its own that nobody waits for: whenever it breaks
    /// off, what is on disk is whole.
    fn archive(&self) -> Result<(), Error> {
        let config = &self.config.ledger;
        let doors = (Disk::from_environment(), Clock::System);
        let archiver = Archiver::new(&config.dir, config.compress_after.0, doors);
        let stop = self.stop_archiver.clone();
        std::thread::Builder::new()
            .name("archiver".into())
            .spawn(move || archiver.run(&stop))
            .map_err(|e| Error::System("start the archiver's thread", e))?;
        Ok(())
    }

    /// Starts enrichment, lets it go on under other settings, or lets it idle.
    fn enrich(&mut self, settings: Option<Settings>) -> Result<(), enrich::Error> {
        match (&self.enricher, settings) {
            (Some(enricher), settings) => enricher.reload(settings),
            (None, None) => {}
            (None, Some(settings)) => {
                let access = Access {
                    dir: self.config.ledger.dir.clone(),
                    head: self.head.clone(),
                    status: self.status.clone(),
                    queue: self.queue.clone(),
                    policies: self.policies.clone(),
                    counters: self.health.enrich.clone(),
                };
                self.enricher = Some(Enricher::start(settings, access)?);
            }
        }
        Ok(())
    }

    fn reconcile(&mut self) {
        let beside = (&self.queue, &self.health, &self.head);
        self.reconciler = Reconciler::start(&self.config, beside);
    }

    async fn ledger_error(&mut self) -> Error {
        match (&mut self.ledger).await {
            Ok(Err(e)) => e.into(),
            _ => Error::NotDurable,
        }
    }

    fn open(
        &mut self,
        config: &sources::config::Config,
        (positions, left_at): (&[Position], Option<Micros>),
        environment: &secret::Environment,
    ) -> Result<(), Error> {
        let own = positions.iter().filter(|p| *p.source == *config.name).cloned().collect();
        let left = LeftOff { positions: own, at: left_at };
        let (policies, queue, name) =
            (self.policies.clone(), self.queue.clone(), config.name.clone());
        let intake = move || Intake::new(&name, policies.clone(), queue.clone());
        let left = (left, environment);
        self.sources.push(sources::start(config, left, intake, &mut self.tasks)?);
        Ok(())
    }

    /// Runs until something ends it.
    async fn serve(&mut self, events: &mut mpsc::Receiver<Event>, reload: &Reload<'_>) -> Left {
        let every = self.systemd.watchdog.unwrap_or(Duration::from_secs(3600));
        let mut feed = tokio::time::interval(every);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(Event::Reload) => self.reload(reload).await,
                    Some(Event::Now) => return Left::AtOnce,
                    Some(Event::Stop) | None => return Left::Asked,
                },
                ended = &mut self.ledger => {
                    return Left::LedgerEnded(ended.unwrap_or(Ok(())));
                }
                Some(ended) = self.tasks.join_next() => {
                    self.note_end(ended);
                    if self.tasks.is_empty() {
                        return Left::SourcesEnded;
                    }
                }
                // Fed by what the pipeline does, not by the passing of time.
                _ = feed.tick() => if self.health.stuck().is_none() {
                    self.systemd.tell("WATCHDOG=1");
                },
            }
        }
    }

    fn note_end(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(name) => {
                self.sources.retain(|source| source.config.name != name);
                tracing::info!(source = name, "the source has ended");
            }
            Err(e) => tracing::error!(error = %e, "a source broke off"),
        }
    }

    /// Stops in flow order.
    async fn drain(
        mut self,
        left: Left,
        events: &mut mpsc::Receiver<Event>,
    ) -> Result<Ended, Error> {
        self.health.draining.store(true, Ordering::SeqCst);
        self.systemd.tell("STOPPING=1");
        self.stop_archiver.stop();
        self.reconciler.stop();
        let result = match left {
            Left::AtOnce => return Ok(Ended::AtOnce),
            Left::LedgerEnded(Err(e)) => Err(e.into()),
            Left::LedgerEnded(Ok(())) => Err(Error::NotDurable),
            Left::Asked | Left::SourcesEnded => {
                tracing::info!("draining");
                tokio::select! {
                    done = self.wind_down() => done,
                    () = asked_again(events) => return Ok(Ended::AtOnce),
                }
            }
        };
        self.stop_admin.send_replace(true);
        self.admin.abort_all();
        result.map(|()| Ended::Drained)
    }

    async fn wind_down(&mut self) -> Result<(), Error> {
        let deadline = Deadline::after(self.config.shutdown.deadline.0);
        // The ledger knows who waits: nothing is lost by dropping its questions.
        self.enricher = None;
        for source in &self.sources {
            source.stop();
        }
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(deadline.left(), ended).await.is_err() {
            tracing::warn!("sources did not end before the deadline; what they hold is read again");
            self.queue.close();
        }
        // The queue may be closed for good when the ledger has failed; its result says so below.
        let _ = self.queue.tell(Message::Stop);
        let result = match tokio::time::timeout(deadline.left(), &mut self.ledger).await {
            Ok(result) => result,
            Err(_) => {
                self.status.give_up.store(true, Ordering::SeqCst);
                match tokio::time::timeout(LAST_GASP, &mut self.ledger).await {
                    Ok(result) => result,
                    Err(_) => return Err(Error::NotDurable),
                }
            }
        };
        match result {
            Ok(done) => {
                done?;
                tracing::info!(sealed = self.status.sealed.load(Ordering::Relaxed), "drained");
                Ok(())
            }
            Err(_) => Err(Error::NotDurable),
        }
    }
}

/// A config is not read again before it was put to use once.
async fn asked_to_stop(events: &mut mpsc::Receiver<Event>) -> Left {
    loop {
        match events.recv().await {
            Some(Event::Reload) => {}
            Some(Event::Now) => return Left::AtOnce,
            Some(Event::Stop) | None => return Left::Asked,
        }
    }
}

async fn asked_again(events: &mut mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        if event == Event::Now {
            return;
        }
    }
    std::future::pending().await
}
