//! Black-box tests over the real binary, split by behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test that cannot go on says so and fails; its files and clocks need no doors"
)]

mod client;
mod crash;
mod daemon;
mod disk;
mod sealed;
