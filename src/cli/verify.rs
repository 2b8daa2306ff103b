//! `veritail verify`.

use super::{VERIFY_IO, VERIFY_USAGE, fail};
use crate::{
    clock::Clock,
    ledger::keys,
    units::Span,
    verify::{self, Options as Wanted},
};
use std::{path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// A ledger's directory, or segment files (plain or .gz)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The public key you were given (one vkey a line); else the ledger's own keys/public.vkey
    #[arg(long)]
    public_key: Option<PathBuf>,
    /// The MAC master (64 hex digits); else the ledger's own keys/mac.key, where it can be read
    #[arg(long)]
    mac_key: Option<PathBuf>,
    /// The newest entry must not be older than this, such as 10m
    #[arg(long)]
    max_age: Option<Span>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn verify(options: &Options) -> ExitCode {
    let wanted = match wanted(options) {
        Ok(wanted) => wanted,
        Err((code, why)) => return fail(code, &why),
    };
    match verify::verify(&wanted) {
        Ok(report) => {
            match options.json.then(|| report.to_json()).transpose() {
                Ok(None) => print!("{}", report.to_text()),
                Ok(Some(json)) => println!("{json}"),
                Err(e) => return fail(VERIFY_IO, &e),
            }
            report.exit_code().into()
        }
        Err(e) => fail(e.exit_code(), &e),
    }
}

fn wanted(options: &Options) -> Result<Wanted, (u8, String)> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path)
            .map_err(|e| (VERIFY_IO, format!("cannot read {}: {e}", path.display())))
    };
    let public_keys = match &options.public_key {
        None => Vec::new(),
        Some(path) => {
            let text = read(path)?;
            text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect()
        }
    };
    let mac_master = match &options.mac_key {
        None => None,
        Some(path) => Some(keys::parse(read(path)?.trim()).ok_or_else(|| {
            (VERIFY_USAGE, format!("{} does not hold 64 hex digits", path.display()))
        })?),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Wanted {
        paths: options.paths.clone(),
        public_keys,
        mac_master,
        max_age: options.max_age.map(|span| span.0),
        now: Clock::System.now(),
        threads,
    })
}
