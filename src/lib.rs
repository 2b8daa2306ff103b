//! veritail: a sidecar that turns every LLM call into an audit record that can be proved.
pub mod cli;
pub mod clock;
pub mod record;
