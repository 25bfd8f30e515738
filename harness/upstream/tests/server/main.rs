//! The server from outside: over real sockets, as a process of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod defects;
mod foo;
mod program;
