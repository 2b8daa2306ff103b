//! The ledger: append(batch) → sealed.
pub mod config;
