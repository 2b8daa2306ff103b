//! Black-box tests over the real binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test's helpers fail by panicking and speak to whoever runs it"
)]

mod deploy;
mod examples;
mod http;
mod running;
mod systemd;
