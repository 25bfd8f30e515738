//! A client's socket, with buffers that it has only while there is something in them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use eventloop::Fill;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

/// Space offered to one read. Large enough that a full pipeline of small messages
/// comes in one call, small enough to stay in the cache.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// Buffers that are kept for the next connection with something to say: as many as are
/// in use at once when few clients are slow. Thousands of idle connections have none.
const SPARE_BUFFERS: usize = 32;

/// A buffer that has grown beyond this is given back to the allocator.
const SPARE_BYTES: usize = 512 * 1024;

/// Buffers of a worker that no connection needs at the moment.
#[derive(Debug, Default)]
pub(crate) struct Spare(Vec<Vec<u8>>);

impl Spare {
    /// A buffer with room for a read.
    fn take(&mut self) -> Vec<u8> {
        let spare = self.0.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(READ_BYTES))
    }

    fn keep(&mut self, buffer: &mut Vec<u8>) {
        let mut buffer = std::mem::take(buffer);
        if self.0.len() < SPARE_BUFFERS && (1..=SPARE_BYTES).contains(&buffer.capacity()) {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// A non-blocking TCP socket, what was read from it and not yet used, and what is still
/// to be written.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    inbound: Vec<u8>,
    consumed: usize,
    outbound: Vec<u8>,
    sent: usize,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            inbound: Vec::new(),
            consumed: 0,
            outbound: Vec::new(),
            sent: 0,
        }
    }

    /// Gets buffers for what comes next.
    pub(crate) fn borrow(&mut self, spare: &mut Spare) {
        if self.inbound.capacity() == 0 {
            self.inbound = spare.take();
        }
        if self.outbound.capacity() == 0 {
            self.outbound = spare.take();
        }
    }

    /// Gives the buffers back that hold nothing.
    pub(crate) fn give_back(&mut self, spare: &mut Spare) {
        if self.consumed == self.inbound.len() {
            self.consumed = 0;
            spare.keep(&mut self.inbound);
        }
        if self.unsent() == 0 {
            self.sent = 0;
            spare.keep(&mut self.outbound);
        }
    }

    /// Reads once, at most `limit` bytes.
    pub(crate) fn fill(&mut self, limit: usize) -> io::Result<Fill> {
        if self.consumed > 0 {
            self.inbound.drain(..self.consumed);
            self.consumed = 0;
        }
        loop {
            return match self.receive(limit) {
                Ok(0) => Ok(Fill::End),
                Ok(n) => Ok(Fill::Data(n)),
                Err(Errno::AGAIN) => Ok(Fill::Blocked),
                Err(Errno::INTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }

    fn receive(&mut self, limit: usize) -> Result<usize, Errno> {
        if limit >= READ_BYTES {
            self.inbound.reserve(READ_BYTES);
            let spare = rustix::buffer::spare_capacity(&mut self.inbound);
            return rustix::net::recv(&self.fd, spare, RecvFlags::empty()).map(|(n, _)| n);
        }
        let before = self.inbound.len();
        self.inbound.resize(before + limit, 0);
        let read = rustix::net::recv(&self.fd, &mut self.inbound[before..], RecvFlags::empty());
        let read = read.map(|(n, _)| n);
        self.inbound.truncate(before + read.unwrap_or(0));
        read
    }

    /// What was read and not yet used.
    pub(crate) fn inbound(&self) -> &[u8] {
        &self.inbound[self.consumed..]
    }

    /// Marks the first `n` bytes of what was read as used.
    pub(crate) fn consume(&mut self, n: usize) {
        self.consumed = (self.consumed + n).min(self.inbound.len());
    }

    /// What was read, and the buffer to append the answers to.
    pub(crate) fn split(&mut self) -> (&[u8], &mut Vec<u8>) {
        (&self.inbound[self.consumed..], &mut self.outbound)
    }

    /// Makes all that was read what is to be written, without a copy. `false` if there is
    /// something in the way.
    pub(crate) fn reflect(&mut self) -> bool {
        let possible = self.consumed == 0 && self.outbound.is_empty();
        if possible {
            std::mem::swap(&mut self.inbound, &mut self.outbound);
        }
        possible
    }

    /// The buffer to append to what will be written.
    pub(crate) fn outbound(&mut self) -> &mut Vec<u8> {
        &mut self.outbound
    }

    /// Bytes that wait to be written.
    pub(crate) fn unsent(&self) -> usize {
        self.outbound.len() - self.sent
    }

    /// Writes as much of the next `limit` bytes as the socket takes, and tells how many
    /// those were.
    pub(crate) fn flush(&mut self, limit: usize) -> io::Result<usize> {
        let before = self.sent;
        let until = self.sent + limit.min(self.unsent());
        while self.sent < until {
            let piece = &self.outbound[self.sent..until];
            match rustix::net::send(&self.fd, piece, SendFlags::NOSIGNAL) {
                Ok(n) => self.sent += n,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let sent = self.sent - before;
        self.forget_sent();
        Ok(sent)
    }

    /// Drops what has left from the front of the buffer once it is worth the move,
    /// so that a connection that never has all its answers sent does not grow.
    fn forget_sent(&mut self) {
        if self.sent == self.outbound.len() {
            self.outbound.clear();
            self.sent = 0;
        } else if self.sent >= READ_BYTES {
            self.outbound.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Ends our side; the client may go on sending.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        let way = rustix::net::Shutdown::Write;
        Ok(rustix::net::shutdown(&self.fd, way)?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
