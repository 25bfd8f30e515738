//! A sink of statsd lines: a backend that accounts for every line it gets.
//!
//! In reading order: `args` is the command line, [`sockets`] what is listened on,
//! [`server`] starts and stops the one thread, `worker` is its event loop, over a port
//! for datagrams and an `entrance` for connections, which are `lines` or a `manager`;
//! `commands` is what the latter understands. What is read goes to a `tally`: `line` says what a line is, `keys` and [`seen`]
//! what has come; [`record`] is what is told of it.
//!
//! One thread, because it is fast enough for several proxies, and a count that is not
//! shared is never wrong.

pub(crate) mod args;
mod commands;
mod entrance;
mod keys;
mod line;
mod lines;
mod manager;
pub mod record;
pub mod seen;
pub mod server;
pub mod sockets;
mod tally;
mod worker;

pub use record::StatsdRecord;
pub use seen::Seen;
pub use server::{Config, Server};
pub use sockets::Sockets;
