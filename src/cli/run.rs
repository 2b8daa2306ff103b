//! `veritail run` and `veritail demo`.

use super::{CONFIG, fail, program, refuse};
use crate::{
    config::{self, Config},
    demo, ledger,
    pipeline::{self, Ended},
    secret::Environment,
    telemetry,
};
use std::{path::Path, process::ExitCode};

/// Where everything is when no config is given.
pub(super) const DATA: &str = "veritail-data";

pub(super) fn run(file: Option<&Path>, environment: &Environment) -> ExitCode {
    let load = || match file {
        Some(file) => config::load(file, environment),
        None => config::embedded(Path::new(DATA), environment),
    };
    let config = match load() {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    telemetry::init(&config.log);
    if file.is_none() {
        for dir in [format!("{DATA}/requests"), "requests".into()] {
            if let Err(e) = std::fs::create_dir_all(&dir) {
                return fail(1, &format_args!("cannot create {dir}: {e}"));
            }
        }
    }
    let ready = || {
        if file.is_none() {
            welcome(&config);
        }
    };
    match pipeline::run(config.clone(), (&load, &ready)) {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::AtOnce) => 130.into(),
        Err(e) => {
            tracing::error!("{e}");
            match e {
                pipeline::Error::Ledger(ledger::Error::Config(_) | ledger::Error::Key(_))
                | pipeline::Error::Secret(_)
                | pipeline::Error::Redact(_) => CONFIG.into(),
                _ => 1.into(),
            }
        }
    }
}

/// Tells a newcomer what runs and how to try it.
fn welcome(config: &Config) {
    let (dir, veritail) = (config.ledger.dir.display(), program());
    println!(
        "veritail runs with its built-in config; everything is in ./{dir}\n\
         \n  send it a record through the socket:\n    \
         echo '{{\"user_id\":\"u1\",\"model\":\"openai/gpt-4o\",\"prompt\":\"hi\"}}' | nc -UN {dir}/ingest.sock\n  \
         or through a file:\n    \
         echo '{{\"user_id\":\"u1\",\"model\":\"openai/gpt-4o\",\"prompt\":\"hi\"}}' >> requests/x.ndjson\n  \
         see what was sealed:\n    \
         tail -n1 {dir}/audit_*.jsonl\n  \
         prove that nothing was changed:\n    \
         {veritail} verify {dir}\n\n\
         Ctrl-C stops it; `{veritail} init` writes a config to start from."
    );
}

pub(super) fn demo(options: &demo::Options) -> ExitCode {
    match demo::run(options, &mut |line| println!("{line}")) {
        Ok(code) => code.into(),
        Err(e) => fail(1, &e),
    }
}
