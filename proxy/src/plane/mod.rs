//! The data plane: the workers that move bytes between clients and upstreams.
//!
//! One worker per thread, each with its own event loop; both sockets of a connection
//! stay on the worker that accepted it. The workers share one listening socket and a
//! count of open connections, and nothing else. No lock, allocation or timer is spent
//! on a message: what a read returned is judged where it lies and leaves with one write
//! from the same place.
//!
//! In reading order: [`driver`] is what a worker asks of the kernel, in the form of
//! operations and completions; [`uring`] and [`epoll`] are its two implementations.
//! [`protocol`] is what a mode (such as `foo`) does with connections and their bytes.
//! [`pipe`] holds what is on its way to one socket, [`session`] is one connection with
//! its two sockets, [`opening`] how it finds its upstream, [`passing`] how bytes pass,
//! [`tunnel`] how it moves bulk, [`ending`] how it ends, [`worker`] the loop,
//! [`accepting`] how connections come to it, [`mailbox`] how it is told things.
//! [`counters`] is what a worker counts and everyone may read. [`control`] starts, drains
//! and stops the workers.
//!
//! # What was tried
//!
//! Ratios of CPU per message against peers in the same run, on 2 cores; the figures drift,
//! the ratios less. `harness bench --mode tcp` repeats the comparison.
//!
//! - Receives that stay (multishot, see `uring/streams.rs`): 0.74 and 0.73 of the best peer
//!   at 64 connections with 1 and 16 messages in flight. Asked for one by one, they had been
//!   at 0.79 and 0.84 of nginx, in `proxy foo`. Kept for small reads only: they know no
//!   back-pressure.
//! - Waiting for more completions before a turn (`min_wait_usec`, 50 to 200 µs) changed
//!   nothing that could be told from noise (0.77 of nginx without, 0.78 to 0.84 with), nor
//!   did 64 or 32 buffers instead of 256 (0.78 and 0.83 beside 0.79). With 1,024, a message
//!   over 9,000 busy connections cost 1.19 times as much.
//! - Registered files: `fget` and `fput` are 1 % of a profile in which the kernel's TCP is
//!   90 %, sending alone 75 %. Not worth a system call for each connection.
//! - Bundled sends have nothing to bundle: what a read returned leaves with one send.
//! - A multishot accept gave one worker most of the connections; shutdown as an operation
//!   of the ring goes to a thread of the kernel's and costs more than the call.
//! - Bulk by 16 KiB reads moves 10 to 16 Gbit per second of CPU, by `splice` 28 to 45. What
//!   is left is mostly waking others and being woken. A transfer alone on its worker steps
//!   aside (`sched_yield`) before it sleeps, once for each 8 KiB that it has moved: over one
//!   connection that moved 1.1 to 1.6 times as much, for 0.85 of the CPU. Once for each 16 KiB
//!   gave 0.9 of that, for each 4 KiB no more. Always up to 32 times was as fast, but a slow
//!   sender would have made us wait each time; fewer chances after each wait in vain lost the
//!   gain. Resting 100 µs between turns took 40 % of the throughput where senders use BBR,
//!   whose pace follows what it sees arrive. Filling the pipe until the socket has nothing left
//!   before emptying it made no difference.

mod accepting;
pub(crate) mod control;
pub(crate) mod counters;
pub(crate) mod driver;
mod ending;
mod epoll;
mod mailbox;
mod opening;
mod passing;
mod pipe;
pub(crate) mod protocol;
mod session;
#[cfg(test)]
mod simulation;
mod tunnel;
mod uring;
mod worker;

pub(crate) use control::{Backlog, DriverChoice, Limits, Plane, PlaneConfig};
pub(crate) use counters::PlaneTotals;
pub(crate) use driver::Side;
pub(crate) use protocol::{End, Filtered, Next, Output, Passed, Protocol};
