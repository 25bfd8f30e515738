//! An echo for datagrams, which knows those of the load client again.
//!
//! In reading order: `args` is the command line, [`server`] starts and stops the one
//! thread, `worker` is its event loop. What came goes to a `tally`, which keeps `numbers`
//! by client; what is sent back is made by `answers`, wrong where that is planted, and
//! goes out by `outgoing`. [`record`] is what is told of it.

mod answers;
pub(crate) mod args;
mod numbers;
mod outgoing;
pub mod record;
pub mod server;
mod tally;
mod worker;

pub use record::UdpRecord;
pub use server::{Config, Server, Socket};
