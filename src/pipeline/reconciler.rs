//! The daemon's own reconciliation: on its timer and when the command asks. One day at a time, on a
//! thread of low priority; a failure is logged and counted, and tried again later. Nothing waits
//! for it.

use crate::{
    clock::{self, Clock},
    config::Config,
    ledger::{self, follow::Place},
    queue::{Message, Queue},
    reconcile::{self, AskedBy, Day, Listener, Report, Source, Timer, Verdict},
    secret::Environment,
    stop::Stop,
    telemetry::Health,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};

/// After a failure the next try comes this soon, or sooner when the timer does.
const RETRY: Duration = Duration::from_secs(3600);
/// Longest wait for the entry to be durable.
const SEALING: Duration = Duration::from_secs(60);
/// How much less than the sealing this is worth (nice(2)).
const NICE: i32 = 10;

/// The stage in motion; nothing runs when the config has no `[reconcile]`.
#[derive(Default)]
pub(super) struct Reconciler {
    tasks: JoinSet<()>,
    stop: Stop,
}

impl Reconciler {
    /// Starts it, beside a ledger that is open.
    pub(super) fn start(
        config: &Config,
        (queue, health, head): (&Queue, &Arc<Health>, &watch::Receiver<Place>),
    ) -> Self {
        let mut reconciler = Reconciler::default();
        let Some(own) = config.reconcile.clone() else { return reconciler };
        let listener = Listener::bind(&config.ledger.dir)
            .inspect_err(|e| {
                tracing::warn!(error = %e, "`veritail reconcile` cannot reach this daemon: no \
                    socket beside the ledger; is the path longer than 107 bytes?");
            })
            .ok();
        let work = Work {
            config: own,
            environment: config.environment.clone(),
            source: Source::new(&config.ledger.dir, head.clone()),
            queue: queue.clone(),
            health: health.clone(),
            stop: reconciler.stop.clone(),
        };
        reconciler.tasks.spawn(async move { work.serve(listener).await });
        reconciler
    }

    /// Ends it; a day that is being compared is given up and stays owed.
    pub(super) fn stop(&mut self) {
        self.stop.stop();
        self.tasks.abort_all();
    }

    /// Waits until the socket is free again.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What it takes to compare a day.
struct Work {
    config: reconcile::config::Config,
    environment: Environment,
    source: Source,
    queue: Queue,
    health: Arc<Health>,
    stop: Stop,
}

impl Work {
    async fn serve(self, listener: Option<Listener>) {
        let mut timer = None;
        let mut next = tokio::time::Instant::from_std(clock::monotonic());
        loop {
            let asked = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                request = asked => {
                    let outcome = self.day(request.day, AskedBy::Command).await;
                    request.answer(outcome).await;
                }
                () = tokio::time::sleep_until(next), if self.config.every.is_some() => {
                    let every = self.config.every.map_or(RETRY, |every| every.0);
                    let wait = if self.round(&mut timer).await { every } else { every.min(RETRY) };
                    next = tokio::time::Instant::from_std(clock::monotonic()) + wait;
                }
            }
        }
    }

    /// Compares what is owed; `false` when something failed.
    async fn round(&self, timer: &mut Option<Timer>) -> bool {
        if timer.is_none() {
            let (source, stop) = (self.source.clone(), self.stop.clone());
            match aside(move || Timer::new(&source, &stop)).await {
                Ok(Ok(read)) => *timer = Some(read),
                Ok(Err(e)) => {
                    tracing::error!(error = %e, "cannot tell which days were reconciled");
                    return false;
                }
                Err(e) => {
                    tracing::error!(error = %e, "cannot tell which days were reconciled");
                    return false;
                }
            }
        }
        let Some(timer) = timer else { return false };
        let mut all = true;
        for day in timer.due(Clock::System.now(), self.config.settle.0) {
            match self.day(day, AskedBy::Timer).await {
                Ok(_) => timer.done(day),
                Err(_) => all = false,
            }
        }
        all
    }

    /// Compares a day and seals what came out.
    async fn day(&self, day: Day, asked_by: AskedBy) -> Result<(Report, u64), String> {
        let done = self.compare_and_seal(day, asked_by).await;
        match &done {
            Ok((report, seq)) => {
                let lacks = report.by_id.ledger_lacks.count;
                self.health.ledger_lacks.store(lacks, Ordering::Relaxed);
                if report.verdict == Verdict::Equal {
                    self.health.reconciled_equal.fetch_add(1, Ordering::Relaxed);
                    tracing::info!(%day, seq, "reconciled: nothing differs");
                } else {
                    self.health.reconciled_different.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%day, seq, ledger_lacks = lacks,
                        openrouter_lacks = report.by_id.openrouter_lacks.count,
                        "reconciled: the ledger and OpenRouter differ; the entry says where");
                }
            }
            Err(error) => {
                self.health.reconcile_failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%day, error, "not reconciled");
            }
        }
        done
    }

    async fn compare_and_seal(&self, day: Day, asked_by: AskedBy) -> Result<(Report, u64), String> {
        let (config, environment) = (self.config.clone(), self.environment.clone());
        let (source, stop) = (self.source.clone(), self.stop.clone());
        let compared = aside(move || {
            let key = config.management_key.resolve(&environment)?;
            reconcile::reconcile(&config, &key, &source, (day, asked_by), &stop)
        });
        let report = compared.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let before = self.source.end();
        let body = ledger::reconciliation(report.members());
        self.queue.tell(Message::Control(body)).map_err(|e| e.to_string())?;
        match tokio::time::timeout(SEALING, self.source.sealed_after(before)).await {
            Ok(Some(seq)) => Ok((report, seq)),
            _ => Err("compared, but the ledger has not made the result durable yet".into()),
        }
    }
}

/// Runs `work` on a thread of its own that gives way to the others. It must not hold up the end of
/// the process, so nobody joins it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<T> {
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new().name("reconcile".into()).spawn(move || {
        // On Linux this is the thread's own; refused, it is merely less polite.
        let _ = rustix::process::nice(NICE);
        // Whoever asked may be gone.
        let _ = done.send(work());
    })?;
    ended.await.map_err(|_| std::io::Error::other("the thread broke off"))
}
