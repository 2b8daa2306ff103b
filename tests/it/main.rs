//! Black-box tests over the real binary.

mod deploy;
mod examples;
mod running;
mod systemd;
