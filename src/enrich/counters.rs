//! What is told of enrichment. No label but the outcome, of which there are seven.

use crate::clock::Micros;
use std::{
    fmt::Write,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
};

/// Outcomes of questions, as they are counted.
pub(super) const OUTCOMES: [&str; 7] =
    ["answer", "not_yet", "throttled", "key_refused", "server_error", "no_answer", "refused"];

/// Counters since the start, and gauges.
#[derive(Debug, Default)]
pub struct Counters {
    runs: AtomicBool,
    pub(super) waiting: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) unresolved: AtomicU64,
    pub(super) mismatches: AtomicU64,
    pub(super) attempts: [AtomicU64; OUTCOMES.len()],
    pub(super) parked: AtomicU64,
    pub(super) tripped: AtomicU64,
    pub(super) full: AtomicBool,
    /// When the oldest call that waits was sealed; 0 for none.
    pub(super) oldest: AtomicI64,
}

impl Counters {
    pub(super) fn runs(&self, runs: bool) {
        self.runs.store(runs, Relaxed);
    }

    /// In the Prometheus text format; nothing before it first runs.
    #[must_use]
    pub fn metrics(&self, now: Micros) -> String {
        let mut out = String::new();
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        let attempts = self.attempts.iter().map(load).sum::<u64>();
        if !self.runs.load(Relaxed) && attempts == 0 {
            return out;
        }
        let oldest = self.oldest.load(Relaxed);
        let age = if oldest == 0 { 0 } else { now.saturating_sub(oldest).max(0) / 1_000_000 };
        let rows = [
            ("enrich_waiting", "gauge", "Calls that wait for their answer", load(&self.waiting)),
            (
                "enrich_oldest_waiting_seconds",
                "gauge",
                "Age of the oldest of them",
                age.unsigned_abs(),
            ),
            (
                "enrich_full",
                "gauge",
                "1 while further calls wait in the ledger alone",
                self.full.load(Relaxed).into(),
            ),
            ("enrich_answered_total", "counter", "Answers sealed and synced", load(&self.answered)),
            (
                "enrich_unresolved_total",
                "counter",
                "Calls given up, which is sealed and synced",
                load(&self.unresolved),
            ),
            (
                "enrich_mismatches_total",
                "counter",
                "Answers that disagree with what the application reported",
                load(&self.mismatches),
            ),
            ("enrich_parked_keys", "gauge", "Keys that OpenRouter refuses", load(&self.parked)),
            (
                "enrich_tripped",
                "gauge",
                "Keys that rest because the server fails",
                load(&self.tripped),
            ),
        ];
        for (name, kind, help, value) in rows {
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "# HELP veritail_{name} {help}.\n# TYPE veritail_{name} {kind}\nveritail_{name} {value}"
            );
        }
        let name = "veritail_enrich_attempts_total";
        let _ = writeln!(out, "# HELP {name} Questions asked.\n# TYPE {name} counter");
        for (outcome, count) in OUTCOMES.iter().zip(&self.attempts) {
            let _ = writeln!(out, "{name}{{outcome=\"{outcome}\"}} {}", load(count));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_of_what_does_not_run() {
        let counters = Counters::default();
        assert_eq!(counters.metrics(5), "");
        counters.runs(true);
        counters.oldest.store(1_000_000, Relaxed);
        counters.attempts[1].store(3, Relaxed);
        let told = counters.metrics(61_500_000);
        assert!(told.contains("\nveritail_enrich_oldest_waiting_seconds 60\n"), "{told}");
        assert!(told.contains("attempts_total{outcome=\"not_yet\"} 3\n"), "{told}");
    }
}
