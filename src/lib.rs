//! veritail: a sidecar that turns every LLM call into an audit record that can be proved.
pub mod cli;
pub mod clock;
pub mod crash;
pub mod disk;
pub mod json;
pub mod ledger;
pub mod record;
pub mod redact;
pub mod secret;
pub mod sources;
pub mod telemetry;
pub mod units;
pub mod verify;
