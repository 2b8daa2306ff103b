//! `veritail check` and `veritail config`.

use super::{CONFIG, refuse};
use crate::{
    config::{self, Level},
    secret::Environment,
};
use clap::ValueEnum;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The config file
    #[arg(short, long)]
    config: PathBuf,
    /// How far to look
    #[arg(long, value_enum, default_value = "environment")]
    level: Depth,
    /// How to print what was found
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Depth {
    Syntax,
    Semantics,
    Environment,
    Connectivity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) fn check(options: &Options, environment: &Environment) -> ExitCode {
    let level = match options.level {
        Depth::Syntax => Level::Syntax,
        Depth::Semantics => Level::Semantics,
        Depth::Environment => Level::Environment,
        Depth::Connectivity => Level::Connectivity,
    };
    let problems = config::examine(&options.config, environment, level);
    match options.format {
        Format::Json => println!("{}", config::to_json(&problems)),
        Format::Text if problems.is_empty() => println!("{}: ok", options.config.display()),
        Format::Text => return refuse(&problems),
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { CONFIG.into() }
}

pub(super) fn show(file: &Path, environment: &Environment) -> ExitCode {
    match config::load(file, environment) {
        Ok(config) => {
            print!("{}", config::to_toml(&config, true));
            ExitCode::SUCCESS
        }
        Err(problems) => refuse(&problems),
    }
}
