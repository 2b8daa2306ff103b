//! One TOML file and the environment over it → [`Config`], with all mistakes told at once.
//!
//! `text` parses and knows where each key stands, `layers` lays the environment over the file,
//! `read` turns each section into the struct of its stage, `semantics` looks at what the values
//! mean together, and `environment` at what this machine allows. Nothing here has an effect: no
//! file is written, and a secret is fetched only to see that it can be.

mod effective;
mod environment;
mod fault;
mod layers;
mod node;
mod places;
mod problem;
mod read;
mod sections;
mod semantics;
mod starter;
#[cfg(test)]
mod tests;
mod text;
mod warnings;

pub use effective::{effective, to_toml};
pub use places::Origin;
pub use problem::{Level, Problem, to_json};
pub use starter::{demo, starter};
pub use warnings::warnings;

use crate::{
    enrich, ledger, reconcile, redact, secret::Environment, sources, telemetry, units::Span,
};
use places::Places;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::{path::Path, time::Duration};

/// Longest config that is read. A large one has some kilobytes; a wrong file has more.
const LONGEST: u64 = 1 << 20;

/// A config that was found valid. Made by [`load`], [`load_text`] and [`embedded`] alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// `[ledger]`
    pub ledger: ledger::config::Config,
    /// Each `[[source]]`, in the order of the file.
    pub sources: Vec<sources::config::Config>,
    /// `[redact]`
    pub redact: redact::config::Config,
    /// `[enrich]`, where there is one.
    pub enrich: Option<enrich::config::Config>,
    /// `[reconcile]`, where there is one.
    pub reconcile: Option<reconcile::config::Config>,
    /// `[admin]`
    pub admin: telemetry::config::Admin,
    /// `[log]`
    pub log: telemetry::config::Log,
    /// `[shutdown]`
    pub shutdown: Shutdown,
    /// SHA-256 of the effective config as [`to_toml`] writes it without origins: equal for equal
    /// settings, wherever they were written. Secrets count by their reference.
    pub hash: [u8; 32],
    /// What the references to secrets need of the environment, and nothing else.
    pub environment: Environment,
    places: Places,
}

/// `[shutdown]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// Longest time from the signal to the end; what is not done then is left for the next start.
    pub deadline: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown { deadline: Span(Duration::from_secs(20)) }
    }
}

/// Reads a config file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn load(file: &Path, environment: &Environment) -> Result<Config, Vec<Problem>> {
    let name = file.display().to_string();
    let text = read_file(file).map_err(|(line, column, message)| {
        let (file, key) = (name.clone(), String::new());
        vec![Problem { file, line, column, key, message, level: Level::Syntax }]
    })?;
    load_text(&name, &text, environment)
}

/// Reads a config from its text; `name` is what problems call it.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn load_text(
    name: &str,
    text: &str,
    environment: &Environment,
) -> Result<Config, Vec<Problem>> {
    let (file, mut report) = text::parse(name, text)?;
    let root = layers::merge(file, environment, &mut report);
    let parts = sections::parts(root, &mut report);
    semantics::check(&parts, &mut report);
    let (places, problems) = report.finish();
    match (parts.ledger, parts.redact, parts.admin, parts.log, parts.shutdown) {
        (Some(ledger), Some(redact), Some(admin), Some(log), Some(shutdown))
            if problems.is_empty() =>
        {
            let (enrich, mut reconcile) = (parts.enrich, parts.reconcile);
            if let (Some(own), Some(enrich)) = (&mut reconcile, &enrich)
                && places.origin("reconcile.base_url") == Origin::Default
            {
                own.base_url.clone_from(&enrich.base_url);
            }
            let keys = [&ledger.mac_key, &ledger.signing_key].into_iter().flatten();
            let more = enrich.iter().flat_map(enrich::config::Config::references);
            let more =
                more.map(|(_, key)| key).chain(reconcile.as_ref().map(|r| &r.management_key));
            let of_sources = parts.sources.iter().flat_map(|(_, source)| source.kind.secrets());
            let environment = environment.only_for(keys.chain(more).chain(of_sources));
            let sources = parts.sources.into_iter().map(|(_, source)| source).collect();
            let hash = [0; 32];
            #[rustfmt::skip]
            let mut config = Config {
                ledger, sources, redact, enrich, reconcile, admin, log, shutdown, hash,
                environment, places,
            };
            config.hash = Sha256::digest(to_toml(&config, false)).into();
            Ok(config)
        }
        _ => Err(problems),
    }
}

/// The config of a daemon that was given none: all in `data_dir`, nothing on the network.
///
/// # Errors
/// What the environment sets wrongly, or a directory whose name cannot be used.
pub fn embedded(data_dir: &Path, environment: &Environment) -> Result<Config, Vec<Problem>> {
    load_text("embedded default", &starter::embedded(data_dir), environment)
}

/// What is wrong beyond the text of a config: a [`Config`] has passed syntax and semantics, so
/// this finds what this machine does not allow, when `level` goes as far.
#[must_use]
pub fn check(config: &Config, level: Level) -> Vec<Problem> {
    // Nothing in this version has anybody to say hello to, so the last two levels are one.
    if level >= Level::Environment { environment::check(config) } else { Vec::new() }
}

/// All that is wrong with a config file as far as `level` goes: [`load`], then [`check`].
#[must_use]
pub fn examine(file: &Path, environment: &Environment, level: Level) -> Vec<Problem> {
    match load(file, environment) {
        Ok(config) => check(&config, level),
        Err(problems) => problems.into_iter().filter(|problem| problem.level <= level).collect(),
    }
}

/// The file's text, or line, column and message of what keeps it from being one.
fn read_file(file: &Path) -> Result<String, (usize, usize, String)> {
    use std::io::Read;
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if ["yaml", "yml", "json"].contains(&extension.to_lowercase().as_str()) {
        let message = format!("is named .{extension}, but a config is TOML; write it as .toml");
        return Err((0, 0, message));
    }
    let unreadable = |why: std::io::Error| {
        (0, 0, format!("cannot be read: {why}; name a readable file with -c"))
    };
    let mut bytes = Vec::new();
    let open = std::fs::File::open(file).map_err(unreadable)?;
    open.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err((0, 0, "is longer than 1 MiB, which no config is; check the path".into()));
    }
    String::from_utf8(bytes).map_err(|why| {
        let valid = why.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(why.as_bytes().get(..valid).unwrap_or_default());
        let (line, column) = places::Lines::of(&before).spot(valid);
        (line, column, "not valid TOML: the text is not UTF-8; save it as UTF-8".into())
    })
}
