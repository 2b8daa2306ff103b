//! veritail: a sidecar that turns every LLM call into an audit record that can be proved.
//!
//! ```text
//! app ─► sources ─► intake: parse, redact, encode ─► queue ─► ledger: chain, sign, sync ─► told
//!                                                      ▲         └─► enrich ─┐
//!                                                      └─────────────────────┘
//! auditor ─► verify
//! ```
//!
//! Read in this order. Each group knows the ones above it and nothing below.

// Doors and plain values: the only ways to the time, the disk and a secret.
pub mod clock;
pub mod crash;
pub mod disk;
pub mod record;
pub mod secret;
pub mod stop;
pub mod units;

// Pure: bytes in, bytes out.
pub mod entry;
pub mod json;
pub mod preview;
pub mod redact;

// The stages, in flow order.
pub mod queue;

pub mod intake;

pub mod sources;

pub mod ledger;

// Behind the ledger: what OpenRouter knows of a sealed call.
pub mod enrich;

// Read-only, without a runtime.
pub mod verify;

// The ledger's count of a day against OpenRouter's own.
pub mod reconcile;

// What holds it together.
pub mod config;
pub mod shutdown;
pub mod telemetry;

pub mod pipeline;

pub mod standin;

pub mod demo;

pub mod cli;
