//! `veritail reconcile`.

use super::{CONFIG, NO_CONCLUSION, USAGE, fail, refuse};
use crate::{
    clock::Clock,
    config::{self, Config},
    ledger,
    pipeline::{self, once},
    reconcile::{self, AskedBy, Day, Report, Source, Verdict},
    secret::Environment,
    stop::Stop,
    telemetry,
};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The config file
    #[arg(short, long)]
    config: PathBuf,
    /// The UTC day, such as 2026-11-21; yesterday when left out
    #[arg(long)]
    day: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn reconcile(options: &Options, environment: &Environment) -> ExitCode {
    let config = match config::load(&options.config, environment) {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    let day = match Day::asked(options.day.as_deref(), Clock::System.now()) {
        Ok(day) => day,
        Err(why) => return fail(USAGE, &format_args!("--day: {why}")),
    };
    telemetry::init(&config.log);
    match reconcile::ask_daemon(&config.ledger.dir, day) {
        Ok(None) => alone(&config, day, options.json),
        Ok(Some(Ok((report, seq)))) => {
            tell(&report, Some(seq), options.json);
            code(&report)
        }
        Ok(Some(Err(why))) => fail(NO_CONCLUSION, &format_args!("the daemon says: {why}")),
        Err(e) => {
            let socket = reconcile::socket_path(&config.ledger.dir);
            let socket = socket.display();
            fail(NO_CONCLUSION, &format_args!("cannot ask the daemon through {socket}: {e}"))
        }
    }
}

/// Compares and seals in this process, since no daemon listens.
fn alone(config: &Config, day: Day, json: bool) -> ExitCode {
    let Some(own) = &config.reconcile else {
        let why = "the config has no [reconcile] section; add it, with management_key = { … }";
        return fail(CONFIG, &why);
    };
    let key = match own.management_key.resolve(&config.environment) {
        Ok(key) => key,
        Err(e) => return fail(CONFIG, &format_args!("reconcile.management_key: {e}")),
    };
    let source = match Source::of_dir(&config.ledger.dir) {
        Ok(source) => source,
        Err(e) => return fail(NO_CONCLUSION, &e),
    };
    let asked = (day, AskedBy::Command);
    let report = match reconcile::reconcile(own, &key, &source, asked, &Stop::default()) {
        Ok(report) => report,
        Err(e) => return fail(NO_CONCLUSION, &e),
    };
    match once::seal(config, ledger::reconciliation(report.members())) {
        Ok(()) => {
            let seq =
                Source::of_dir(&config.ledger.dir).ok().and_then(|s| s.found_after(source.end()));
            tell(&report, seq, json);
            code(&report)
        }
        Err(e) => {
            tell(&report, None, json);
            let remedy = match e {
                pipeline::Error::Ledger(ledger::Error::InUse(_)) => {
                    "; add [reconcile] to the config of the daemon that writes it, which then \
                     compares and seals when it is asked"
                }
                _ => "",
            };
            fail(NO_CONCLUSION, &format_args!("compared, but not sealed: {e}{remedy}"))
        }
    }
}

fn tell(report: &Report, seq: Option<u64>, json: bool) {
    if json {
        let mut members = report.members();
        if let (Some(members), Some(seq)) = (members.as_object_mut(), seq) {
            members.insert("sealed_seq".into(), seq.into());
        }
        println!("{members:#}");
        return;
    }
    print!("{}", report.to_text());
    if let Some(seq) = seq {
        println!("sealed as entry {seq}");
    }
}

fn code(report: &Report) -> ExitCode {
    match report.verdict {
        Verdict::Equal => ExitCode::SUCCESS,
        Verdict::Differs => 1.into(),
    }
}
