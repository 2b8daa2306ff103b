//! The HTTP sources from outside: every way in, every way to be turned away.

mod bench;
mod litellm;
mod records;
mod traces;
