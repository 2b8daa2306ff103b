//! veritail: a sidecar that turns every LLM call into an audit record that can be proved.
pub mod cli;
pub mod clock;
pub mod config;
pub mod crash;
pub mod disk;
pub mod entry;
pub mod intake;
pub mod json;
pub mod ledger;
pub mod queue;
pub mod record;
pub mod redact;
pub mod secret;
pub mod sources;
pub mod telemetry;
pub mod units;
