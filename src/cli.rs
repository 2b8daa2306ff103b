//! Commands, usage, exit codes: the one place that prints.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; for `verify`: intact |
//! | 1 | the ledger is not durable; for `verify`: tampered |
//! | 2 | `verify`: cannot conclude |
//! | 3, 4 | `verify`: usage, input or output |
//! | 64 | usage, any other command |
//! | 78 | the config is wrong |
//! | 130 | stopped at once on a second SIGINT |
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where printing is done")]

mod check;
mod init;
mod redact;
mod run;
mod verify;

use crate::secret::Environment;
use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

const USAGE: u8 = 64;
const CONFIG: u8 = 78;
const VERIFY_USAGE: u8 = 3;
const VERIFY_IO: u8 = 4;

/// Turns every LLM call into an audit record that can be proved.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon; without a config, a safe default in ./veritail-data
    Run {
        /// The config file
        #[arg(short, long)]
        config: Option<PathBuf>,
    },
    /// Show the whole thing on this machine: no account, no network, no config
    Demo(crate::demo::Options),
    /// Make a ledger's keys and a commented config
    Init {
        /// The ledger's directory
        #[arg(default_value = "veritail-data")]
        dir: PathBuf,
        /// The stream will be named <service>-<8 hex>
        #[arg(long, default_value = "veritail")]
        service: String,
    },
    /// Say everything that is wrong with a config
    Check(check::Options),
    /// Print the effective config: every value and where it comes from
    Config {
        /// The config file
        #[arg(short, long)]
        config: PathBuf,
    },
    /// Check a ledger: nothing edited, removed, added or reordered
    Verify(verify::Options),
    /// Redact JSON strings or objects from standard input, one a line
    Redact {
        /// The config file whose [redact] section to use
        #[arg(short, long)]
        config: Option<PathBuf>,
        /// Add the spans and the rules that found them
        #[arg(long)]
        explain: bool,
    },
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            // A broken pipe under `--help` is nobody's failure.
            let _ = e.print();
            let verify = std::env::args().nth(1).is_some_and(|first| first == "verify");
            return match e.exit_code() {
                0 => ExitCode::SUCCESS,
                _ if verify => VERIFY_USAGE.into(),
                _ => USAGE.into(),
            };
        }
    };
    let environment = Environment::of_process();
    match arguments.command {
        Command::Run { config } => run::run(config.as_deref(), &environment),
        Command::Demo(options) => run::demo(&options),
        Command::Init { dir, service } => init::init(&dir, &service),
        Command::Check(options) => check::check(&options, &environment),
        Command::Config { config } => check::show(&config, &environment),
        Command::Verify(options) => verify::verify(&options),
        Command::Redact { config, explain } => {
            redact::redact(config.as_deref(), explain, &environment)
        }
    }
}

/// The program as the user called it, so that the commands we suggest can be pasted.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "veritail".into())
}

/// Prints what is wrong with a config, and the code for it.
fn refuse(problems: &[crate::config::Problem]) -> ExitCode {
    for problem in problems {
        eprintln!("{problem}");
    }
    CONFIG.into()
}

/// Prints one line of failure.
fn fail(code: u8, what: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("veritail: {what}");
    code.into()
}
