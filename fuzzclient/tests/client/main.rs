//! The client from outside: a process of its own against targets of all kinds.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod client;
mod sent;
mod target;
mod watched;
