//! `proxy foo` as a process of its own: clients in front of it and a server behind it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod command_line;
mod limits;
mod operation;
mod relay;
mod started;
