//! What the values mean, alone and together: what the types of the stages cannot say.

mod enrich;
mod reconcile;
mod redact;
mod sources;

pub(super) use sources::{READS_LEDGER, reads_ledger};

use super::{
    Shutdown,
    problem::{Level, Report, may_be_secret},
    sections::Parts,
};
use crate::{
    ledger,
    secret::SecretRef,
    units::{ByteSize, Span},
};
use std::{fmt::Display, time::Duration};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Checks all sections that could be read.
pub(super) fn check(parts: &Parts, report: &mut Report) {
    let mut check = Check { report };
    if let Some(ledger) = &parts.ledger {
        check.ledger(ledger);
    }
    check.sources(&parts.sources, parts.ledger.as_ref());
    if let Some(redact) = &parts.redact {
        check.redact(redact);
    }
    if let Some(enrich) = &parts.enrich {
        check.enrich(enrich, &parts.sources);
    }
    if let Some(reconcile) = &parts.reconcile {
        check.reconcile(reconcile);
    }
    if let Some(Shutdown { deadline }) = &parts.shutdown {
        check.range("shutdown.deadline", *deadline, millis(100)..=seconds(3600));
    }
}

/// The checks; each stage's are an `impl` of their own.
struct Check<'a> {
    report: &'a mut Report,
}

impl Check<'_> {
    fn wrong(&mut self, path: &str, message: impl Into<String>) {
        self.report.value(Level::Semantics, path, message);
    }

    /// Refuses a value outside of `accepted`.
    fn range<T: PartialOrd + Display>(
        &mut self,
        path: &str,
        value: T,
        accepted: std::ops::RangeInclusive<T>,
    ) {
        let (least, most) = (accepted.start(), accepted.end());
        let wrong = if value < *least {
            "too small"
        } else if value > *most {
            "too large"
        } else {
            return;
        };
        self.wrong(path, format!("{value} is {wrong}; accepted: {least} to {most}"));
    }

    /// Refuses a name that does not fit into a file name, a metric and a log line alike.
    fn name(&mut self, path: &str, name: &str) {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let got = if may_be_secret(path) { "this".into() } else { super::read::quote(name) };
            let message = format!(
                "{got} is not a name; accepted: 1 to 64 of the characters A-Z a-z 0-9 . _ -"
            );
            self.wrong(path, message);
        }
    }

    fn ledger(&mut self, config: &ledger::config::Config) {
        if config.dir.as_os_str().is_empty() {
            self.wrong("ledger.dir", "is empty; name the directory that shall hold the ledger");
        }
        self.name("ledger.service", &config.service);
        self.range("ledger.group_wait", config.group_wait, millis(0)..=seconds(1));
        self.range("ledger.group_size", config.group_size, size(4 * KIB)..=size(64 * MIB));
        self.range("ledger.segment_size", config.segment_size, size(4 * KIB)..=size(16 * GIB));
        let years = seconds(10 * 366 * 86_400);
        self.range("ledger.compress_after", config.compress_after, millis(0)..=years);
        self.range("ledger.checkpoint_entries", config.checkpoint_entries, 1..=1_000_000);
        let hour = seconds(3600);
        self.range("ledger.checkpoint_interval", config.checkpoint_interval, millis(10)..=hour);
        let day = seconds(86_400);
        self.range("ledger.heartbeat_interval", config.heartbeat_interval, millis(100)..=day);
        self.range("ledger.remember_ids", config.remember_ids, 1..=1 << 20);
        self.range("ledger.queue_size", config.queue_size, size(64 * KIB)..=size(GIB));
        self.reference("ledger.mac_key", config.mac_key.as_ref());
        self.reference("ledger.signing_key", config.signing_key.as_ref());
        if config.mac_key.is_some() && config.mac_key == config.signing_key {
            let message = "is the same as ledger.mac_key; whoever can check entries could then \
                sign checkpoints, so use another key";
            self.wrong("ledger.signing_key", message);
        }
    }

    /// Refuses a reference that names nothing, or that holds the secret itself. Shows neither.
    fn reference(&mut self, path: &str, reference: Option<&SecretRef>) {
        let Some(reference) = reference else { return };
        let (kind, name) = match reference {
            SecretRef::File(file) => ("file", file.to_string_lossy()),
            SecretRef::Env(name) => ("env", name.as_str().into()),
            SecretRef::Credential(name) => ("credential", name.as_str().into()),
        };
        let hex = |part: &str| part.len() >= 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let path = &format!("{path}.{kind}");
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if hex(&name) || name.starts_with("sk-") {
            let message = "looks like the secret itself; name the place where it is kept, and \
                replace the secret, since it has been written down";
            self.wrong(path, message);
        } else if name.is_empty() {
            self.wrong(path, "is empty; name the place where the secret is kept");
        } else if kind == "env"
            && (!name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit()))
        {
            self.wrong(path, "is not the name of an environment variable; accepted: A-Z a-z 0-9 _");
        } else if kind == "credential" && (name.contains('/') || name == "." || name == "..") {
            self.wrong(path, "is not the name of a credential; expected a file name without `/`");
        }
    }
}

fn size(bytes: u64) -> ByteSize {
    ByteSize(bytes)
}

fn millis(ms: u64) -> Span {
    Span(Duration::from_millis(ms))
}

fn seconds(s: u64) -> Span {
    Span(Duration::from_secs(s))
}
