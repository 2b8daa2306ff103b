//! What is accepted and yet may not be meant.

use super::{
    Config,
    environment::directory_of,
    problem::{Level, Part, Problem, Report},
};
use crate::{
    ledger::config::Durability,
    secret::SecretRef,
    sources::config::{Accept, File, Kind, Tls, Unix},
};
use std::net::SocketAddr;

/// What an operator should know of a valid config: what it gives up, whom it lets in, what is not
/// there yet. None of it keeps the daemon from starting.
#[must_use]
pub fn warnings(config: &Config) -> Vec<Problem> {
    let mut report = Report::new(config.places.clone());
    if config.ledger.durability == Durability::Os {
        let message = "entries may be lost when the machine fails; use \"group\" to keep them";
        report.value(Level::Semantics, "ledger.durability", message);
    }
    let management = config.reconcile.as_ref().map(|own| own.management_key.clone());
    let keys = [
        ("ledger.mac_key", &config.ledger.mac_key),
        ("ledger.signing_key", &config.ledger.signing_key),
        ("reconcile.management_key", &management),
    ];
    for (path, reference) in keys {
        if matches!(reference, Some(SecretRef::Env(_))) {
            let message = "others may see an environment variable in /proc and in crash reports; \
                use { credential = \"…\" } or { file = \"…\" } where you can";
            report.value(Level::Semantics, path, message);
        }
    }
    for (index, source) in config.sources.iter().enumerate() {
        match &source.kind {
            Kind::File(file) => absent(&format!("source[{index}]"), file, &mut report),
            Kind::Unix(unix) => open_to_all(&format!("source[{index}]"), unix, &mut report),
            Kind::Stdin(_) => {}
            Kind::Http(http) => in_clear(index, http.listen, http.tls.as_ref(), &mut report),
            Kind::Otlp(otlp) => {
                in_clear(index, otlp.listen, otlp.tls.as_ref(), &mut report);
                if otlp.accept == Accept::All && otlp.token.is_none() && otlp.secret.is_none() {
                    let message = "OpenRouter's Broadcast is not taken without a secret, since \
                        anybody could forge it; add secret = { header = \"…\", value = { file = \
                        \"…\" } }, or accept = \"genai\" if it is not wanted";
                    report.add(Level::Semantics, &format!("source[{index}]"), Part::Key, message);
                }
            }
        }
    }
    if !config.redact.disable.is_empty() {
        let message = format!(
            "{} will be kept as found; leave the label out to have it removed",
            config.redact.disable.join(", ")
        );
        report.value(Level::Semantics, "redact.disable", message);
    }
    if let Some(address) = config.admin.listen.filter(|address| !address.ip().is_loopback()) {
        let message = format!(
            "{address} can be reached from other machines, and asks for no password; use 127.0.0.1 \
             unless a network policy guards it"
        );
        report.value(Level::Semantics, "admin.listen", message);
    }
    report.finish().1
}

/// A directory that is not there may come with the application, or be misspelt.
fn absent(path: &str, file: &File, report: &mut Report) {
    for (item, glob) in file.paths.iter().enumerate() {
        let directory = directory_of(glob);
        if std::fs::metadata(&directory).is_err() {
            let message = format!(
                "{} is not there or not visible; nothing is read until it is",
                directory.display()
            );
            report.value(Level::Environment, &format!("{path}.paths[{item}]"), message);
        }
    }
}

/// A secret that everybody on the way can read.
fn in_clear(index: usize, listen: SocketAddr, tls: Option<&Tls>, report: &mut Report) {
    if tls.is_none() && !listen.ip().is_loopback() {
        let message = format!(
            "{listen} takes secrets and records in clear; add tls = {{ cert = \"…\", key = {{ file = \
             \"…\" }} }}, or let only a proxy with TLS reach it"
        );
        report.value(Level::Semantics, &format!("source[{index}].listen"), message);
    }
}

fn open_to_all(path: &str, unix: &Unix, report: &mut Report) {
    if unix.mode.0 & 0o002 != 0 && unix.allow_uids.is_none() {
        let message = format!(
            "{:04o} lets every user of the machine add records; use \"0660\" and a group, or \
             allow_uids",
            unix.mode.0
        );
        report.value(Level::Semantics, &format!("{path}.mode"), message);
    }
}
