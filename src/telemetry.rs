//! Logging, metrics, health.
pub mod config;
