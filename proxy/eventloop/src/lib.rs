//! What every socket loop of this workspace stands on: non-blocking TCP and UDP sockets,
//! an epoll instance with nanosecond timeouts, buffered streams for the programs that
//! talk (load client, reference server), and datagrams by the batch.
//!
//! Modules in reading order: [`net`] opens sockets, [`poller`] waits for them,
//! [`stream`] reads and writes them through buffers, [`datagram`] is UDP.
//!
//! It never spawns, never prints, never interprets a byte, and owns no loop: each
//! program has its own.

pub mod datagram;
pub mod net;
pub mod poller;
pub mod stream;

pub use poller::{Events, Interest, Poller, Readiness, Waker};
pub use stream::{Fill, Stream};
