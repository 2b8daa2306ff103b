//! Logging, health, metrics: what the daemon says of itself. Never a record's content, never a
//! secret; no label whose values a stranger can multiply.

pub mod config;
pub mod http;

use crate::{clock, enrich, ledger::Status, queue::Queue};
use config::{Format, Level, Log};
use std::{
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tracing_subscriber::{EnvFilter, fmt};

/// The ledger's loop turns at least once a second; silent for this long, it hangs.
const STUCK: Duration = Duration::from_secs(20);

/// Sends log lines to standard error. `VERITAIL_LOG` (as `RUST_LOG`) overrides the level.
pub fn init(log: &Log) {
    let level = match log.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    let filter = EnvFilter::try_from_env("VERITAIL_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("veritail={level},warn")));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second call (a test, a reload) keeps the first.
    let _ = match log.format {
        Format::Text => builder.with_ansi(is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
}

fn is_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
}

/// What is known of the daemon's state.
#[derive(Debug)]
pub struct Health {
    status: Arc<Status>,
    queue: Queue,
    /// Sources are open.
    pub started: AtomicBool,
    /// The daemon was told to stop.
    pub draining: AtomicBool,
    /// Configs read again and taken.
    pub reloads: AtomicU64,
    /// Configs read again and refused.
    pub refused_reloads: AtomicU64,
    /// What enrichment tells. It never makes the daemon unready.
    pub enrich: Arc<enrich::Counters>,
    /// Days compared with OpenRouter's count in which nothing differed.
    pub reconciled_equal: AtomicU64,
    /// Days in which something did.
    pub reconciled_different: AtomicU64,
    /// Comparisons that failed.
    pub reconcile_failures: AtomicU64,
    /// Calls that the ledger lacked on the day compared last.
    pub ledger_lacks: AtomicU64,
    beat: Mutex<(u64, Instant)>,
}

impl Health {
    /// Nothing started yet.
    #[must_use]
    pub fn new(status: Arc<Status>, queue: Queue) -> Self {
        Health {
            status,
            queue,
            started: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            reloads: AtomicU64::new(0),
            refused_reloads: AtomicU64::new(0),
            enrich: Arc::default(),
            reconciled_equal: AtomicU64::new(0),
            reconciled_different: AtomicU64::new(0),
            reconcile_failures: AtomicU64::new(0),
            ledger_lacks: AtomicU64::new(0),
            beat: Mutex::new((0, clock::monotonic())),
        }
    }

    /// What the comparisons with OpenRouter's count came to.
    fn reconciled(&self) -> [(&'static str, &'static str, &'static str, u64); 4] {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            (
                "reconciliations_equal_total",
                "counter",
                "Days compared with OpenRouter's count, nothing different",
                load(&self.reconciled_equal),
            ),
            (
                "reconciliations_different_total",
                "counter",
                "Days compared with OpenRouter's count, something different",
                load(&self.reconciled_different),
            ),
            (
                "reconciliations_failed_total",
                "counter",
                "Comparisons with OpenRouter's count that failed",
                load(&self.reconcile_failures),
            ),
            (
                "reconciliation_ledger_lacks",
                "gauge",
                "Calls the ledger lacked on the day compared last",
                load(&self.ledger_lacks),
            ),
        ]
    }

    /// Why the daemon counts as hung, if it does: its ledger's loop has not turned for a while. A
    /// disk that refuses is no hang; it waits for the disk.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        let beats = self.status.beats.load(Ordering::Relaxed);
        let mut last = self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != beats {
            *last = (beats, clock::monotonic());
        }
        let silent = clock::monotonic().duration_since(last.1);
        (silent > STUCK).then(|| format!("the ledger has not moved for {} s", silent.as_secs()))
    }

    /// Why records are not accepted at the moment, if so.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining".into());
        }
        if !self.started.load(Ordering::Relaxed) {
            return Some("starting".into());
        }
        if self.status.refused.load(Ordering::Relaxed) {
            let why = self.status.last_error.lock().unwrap_or_else(PoisonError::into_inner);
            return Some(format!("the disk refuses entries: {why}; sources are held"));
        }
        self.stuck()
    }

    /// All counters in the Prometheus text format. `received = sealed + quarantined + recognised +
    /// in_flight` holds at every moment that is not in the middle of a hand-over.
    #[must_use]
    pub fn metrics(&self) -> String {
        let status = &self.status;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let done = [&status.sealed, &status.quarantined, &status.recognised].map(load);
        let received = self.queue.received();
        let in_flight = received.saturating_sub(done.iter().sum());
        let flag = |set: bool| u64::from(set);
        let rows = [
            ("records_received_total", "counter", "Records handed to the ledger", received),
            ("records_sealed_total", "counter", "Records sealed and synced", done[0]),
            (
                "records_quarantined_total",
                "counter",
                "Records refused, the refusal sealed",
                done[1],
            ),
            ("records_recognised_total", "counter", "Records sent again and not doubled", done[2]),
            ("records_in_flight", "gauge", "Records not yet synced", in_flight),
            (
                "source_gaps_total",
                "counter",
                "Ranges known lost unread, sealed",
                load(&status.gaps),
            ),
            ("entries_total", "counter", "Entries of any kind synced", load(&status.entries)),
            ("ledger_bytes_total", "counter", "Bytes synced", load(&status.bytes)),
            ("ledger_commits_total", "counter", "Groups synced", load(&status.commits)),
            ("ledger_next_seq", "gauge", "Next sequence number", load(&status.next_seq)),
            ("ledger_segment", "gauge", "Number of the open segment", load(&status.segment)),
            ("disk_refusals_total", "counter", "Writes the disk refused", load(&status.refusals)),
            (
                "ledger_writable",
                "gauge",
                "1 while the disk takes entries",
                flag(!status.refused.load(Ordering::Relaxed)),
            ),
            ("ready", "gauge", "1 while records are accepted", flag(self.not_ready().is_none())),
            ("config_reloads_total", "counter", "Configs taken at run time", load(&self.reloads)),
            (
                "config_reloads_refused_total",
                "counter",
                "Configs refused at run time",
                load(&self.refused_reloads),
            ),
        ];
        let rows = rows.into_iter().chain(self.reconciled());
        let mut out = String::new();
        for (name, kind, help, value) in rows {
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "# HELP veritail_{name} {help}.\n# TYPE veritail_{name} {kind}\nveritail_{name} {value}"
            );
        }
        out.push_str(&self.enrich.metrics(clock::Clock::System.now()));
        let version = env!("CARGO_PKG_VERSION");
        let _ = writeln!(
            out,
            "# HELP veritail_build_info The version that runs.\n# TYPE veritail_build_info gauge\n\
             veritail_build_info{{version=\"{version}\"}} 1"
        );
        out
    }
}
