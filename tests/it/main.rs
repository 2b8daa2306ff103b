//! Black-box tests over the real binary, split by behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test's helpers fail by panicking and speak to whoever runs it"
)]

mod cli;
mod client;
mod crash;
mod daemon;
mod deploy;
mod disk;
mod enrich;
mod examples;
mod house;
mod http;
mod pains;
mod reconcile;
mod running;
mod sealed;
mod secrets;
mod sockets;
mod systemd;
