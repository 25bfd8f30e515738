//! Nothing but a test: see `tests/client.rs`.
