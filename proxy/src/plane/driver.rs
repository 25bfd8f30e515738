//! What a worker asks of the kernel: operations that are submitted, completions that
//! come back. The shape is io_uring's; the epoll driver imitates it.
//!
//! Rules that both drivers keep:
//! - At most one operation of a kind is in flight per socket.
//! - A [`Try`](SendMode::Try) send never waits. Its completion comes before that of any
//!   receive that was submitted after it, and is no reason for [`wait`](Driver::wait) to
//!   return: who needs it soon must wait with a timeout of zero.
//! - Every submitted operation completes exactly once, cancelled ones included; bytes
//!   handed to a send stay where they are until then.
//! - A received chunk belongs to the driver and must be given back with
//!   [`release`](Driver::release).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketFlags;

/// Size of a receive buffer. A full pipeline of small messages fits, and 256 of them
/// stay in a second-level cache.
pub(crate) const CHUNK_BYTES: usize = 16 * 1024;

/// Receive buffers of a worker. A buffer is in use from a receive to the end of the
/// [`Try`](SendMode::Try) send that follows, so this many connections can have bytes in
/// hand in one turn of the loop; more of them wait for the next turn.
pub(crate) const CHUNKS: u16 = 256;

/// One of the two sockets of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client = 0,
    Upstream = 1,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Client, Self::Upstream];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Client => Self::Upstream,
            Self::Upstream => Self::Client,
        }
    }
}

/// Whose operation it is: a session's number and which of its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) session: u32,
    pub(crate) side: Side,
}

/// A receive buffer, by number.
#[derive(Debug)]
pub(crate) struct Chunk(pub(crate) u16);

/// What a receive brought.
#[derive(Debug)]
pub(crate) enum Received {
    /// The first bytes of a chunk.
    Data {
        chunk: Chunk,
        len: usize,
        more: bool,
    },
    /// The peer ended its side.
    End,
}

/// What a send does when the socket's buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendMode {
    /// Sends what fits at once.
    Try,
    /// Sends everything, however long that takes.
    Wait,
}

/// What a socket can be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// It has bytes, or an end.
    Read = 0,
    /// It takes bytes, or is broken.
    Write = 1,
}

impl Ready {
    pub(crate) const BOTH: [Self; 2] = [Self::Read, Self::Write];
}

/// An operation that is done.
#[derive(Debug)]
pub(crate) enum Completion {
    /// A connection was accepted; the next one needs [`Driver::accept`] again.
    Accepted(Result<OwnedFd, Errno>),
    /// Another thread has something to say.
    Woken,
    Connected(u32, Result<(), Errno>),
    Received(Owner, Result<Received, Errno>),
    /// How many bytes left: fewer than were given if the socket was full or it broke.
    Sent(Owner, Result<usize, Errno>),
    /// A socket is ready, broken, or the poll was taken back.
    Polled(Owner, Ready),
}

/// Which operation to take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    Connect,
    Receive,
    Send,
    Poll(Ready),
}

/// An event loop's kernel side.
pub(crate) trait Driver {
    /// For logs and statistics.
    const NAME: &'static str;

    /// How this driver wants its sockets.
    const SOCKET_FLAGS: SocketFlags;

    /// Opens a driver that accepts from `listener` and is woken through `waker`.
    fn open(listener: BorrowedFd<'_>, waker: BorrowedFd<'_>) -> io::Result<Self>
    where
        Self: Sized;

    /// Accepts one connection.
    fn accept(&mut self);

    /// Stops accepting for now. An accept that is in flight completes all the same.
    fn pause_accept(&mut self);

    /// Whether an accept is in flight, so that a connection may still come of it.
    fn is_accepting(&self) -> bool;

    /// Makes a socket with [`SOCKET_FLAGS`](Self::SOCKET_FLAGS) ready for the operations below.
    fn adopt(&mut self, fd: RawFd) -> Result<(), Errno>;

    /// Connects an adopted socket, the upstream side of `session`.
    fn connect(&mut self, session: u32, fd: RawFd, addr: SocketAddr);

    /// Receives into a chunk. `expect_data`: more was there at the last receive.
    fn receive(&mut self, owner: Owner, fd: RawFd, expect_data: bool);

    /// Sends the first `len` bytes from `from`, which stay where they are until
    /// completion.
    fn send(&mut self, owner: Owner, fd: RawFd, from: *const u8, len: usize, mode: SendMode);

    /// Completes when a socket is ready for what the caller does itself. `again`: it was
    /// not seen to have nothing, so that it may be ready now.
    fn poll(&mut self, owner: Owner, fd: RawFd, what: Ready, again: bool);

    /// Takes an operation back; it still completes.
    fn cancel(&mut self, owner: Owner, fd: RawFd, what: Pending);

    /// Ends the sending side, after everything that was sent.
    fn shutdown_write(&mut self, fd: RawFd);

    /// Whether nothing that the socket brought is left with the driver, nor will be. What
    /// is can be had with [`receive`](Self::receive), and stopped with
    /// [`cancel`](Self::cancel).
    fn is_idle(&mut self, owner: Owner) -> bool;

    /// Closes a socket without operations in flight.
    fn close(&mut self, owner: Owner, fd: OwnedFd);

    /// The bytes of a chunk.
    fn chunk(&mut self, chunk: &Chunk) -> &mut [u8];

    /// Gives a chunk back.
    fn release(&mut self, chunk: Chunk);

    /// Submits what was asked for, waits until something is done or `timeout` is over,
    /// and appends what is done to `done`.
    fn wait(&mut self, timeout: Option<Duration>, done: &mut Vec<Completion>) -> io::Result<()>;
}
