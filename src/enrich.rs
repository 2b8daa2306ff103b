//! What OpenRouter's generation endpoint knows of a sealed call, sealed as an entry of its own.

pub mod answer;
pub mod client;
pub mod key;
pub mod money;
