//! The ledger: append(batch) → sealed.
pub mod chain;
pub mod config;
pub mod line;
pub mod merkle;
pub mod note;
