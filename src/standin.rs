//! A stand-in for OpenRouter, for `demo` and for tests.
