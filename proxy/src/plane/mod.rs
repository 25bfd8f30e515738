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
//! its two sockets, [`opening`] how it finds its upstream, [`tunnel`] how it moves bulk,
//! [`ending`] how it ends, [`worker`] the loop, [`mailbox`] how it is told things. [`counters`] is what a worker counts
//! and everyone may read. [`control`] starts, drains and stops the workers.

pub(crate) mod control;
pub(crate) mod counters;
pub(crate) mod driver;
mod ending;
mod epoll;
mod mailbox;
mod opening;
mod pipe;
pub(crate) mod protocol;
mod session;
#[cfg(test)]
mod simulation;
mod tunnel;
mod uring;
mod worker;

pub(crate) use control::{Backlog, DriverChoice, Limits, Plane, PlaneConfig};
pub(crate) use counters::{PlaneTotals, Single};
pub(crate) use driver::Side;
pub(crate) use protocol::{End, Filtered, Next, Output, Passed, Protocol};
