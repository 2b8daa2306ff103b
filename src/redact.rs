//! Redactor: text in, findings out.
pub mod config;
