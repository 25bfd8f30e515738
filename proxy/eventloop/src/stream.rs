//! A non-blocking TCP stream with a buffer on each side.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

/// Space offered to one read. Large enough that a full pipeline of small messages
/// comes in one call, small enough to stay in the cache.
const READ_BYTES: usize = 64 * 1024;

/// What a read of a [`Stream`] brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// This many more bytes are in the inbound buffer.
    Data(usize),
    /// Nothing to read at the moment.
    Blocked,
    /// The peer has ended its side.
    End,
}

/// A non-blocking TCP stream with buffers that grow when needed and are kept.
/// Bounding what is put into the outbound buffer is its owner's business.
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
    inbound: Vec<u8>,
    consumed: usize,
    outbound: Vec<u8>,
    sent: usize,
}

impl Stream {
    /// Wraps a non-blocking, connected or connecting socket.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            inbound: Vec::new(),
            consumed: 0,
            outbound: Vec::new(),
            sent: 0,
        }
    }

    /// Reads once.
    ///
    /// # Errors
    /// What `recv` said: most often a reset.
    pub fn fill(&mut self) -> io::Result<Fill> {
        if self.consumed > 0 {
            self.inbound.drain(..self.consumed);
            self.consumed = 0;
        }
        self.inbound.reserve(READ_BYTES);
        loop {
            let spare = rustix::buffer::spare_capacity(&mut self.inbound);
            return match rustix::net::recv(&self.fd, spare, RecvFlags::empty()) {
                Ok((0, _)) => Ok(Fill::End),
                Ok((n, _)) => Ok(Fill::Data(n)),
                Err(Errno::AGAIN) => Ok(Fill::Blocked),
                Err(Errno::INTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }

    /// What was read and not yet consumed.
    #[must_use]
    pub fn inbound(&self) -> &[u8] {
        &self.inbound[self.consumed..]
    }

    /// Marks the first `n` bytes of [`inbound`](Self::inbound) as done with.
    pub fn consume(&mut self, n: usize) {
        self.consumed = (self.consumed + n).min(self.inbound.len());
    }

    /// What is read, and the buffer to append the answers to, at the same time.
    pub fn split(&mut self) -> (&[u8], &mut Vec<u8>) {
        (&self.inbound[self.consumed..], &mut self.outbound)
    }

    /// The buffer to append to what will be written by [`flush`](Self::flush).
    pub fn outbound(&mut self) -> &mut Vec<u8> {
        &mut self.outbound
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.outbound.len() - self.sent
    }

    /// Writes as much as the socket takes. `Ok(true)` when nothing is left.
    ///
    /// # Errors
    /// What `send` said: most often a reset or a broken pipe.
    pub fn flush(&mut self) -> io::Result<bool> {
        while self.sent < self.outbound.len() {
            match rustix::net::send(&self.fd, &self.outbound[self.sent..], SendFlags::NOSIGNAL) {
                Ok(n) => self.sent += n,
                Err(Errno::AGAIN) => {
                    self.forget_sent();
                    return Ok(false);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.outbound.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Drops what has left from the front of the buffer once it is worth the move,
    /// so that a stream that is never quite flushed does not grow.
    fn forget_sent(&mut self) {
        if self.sent >= READ_BYTES {
            self.outbound.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Ends our side of the connection; the peer may go on sending.
    ///
    /// # Errors
    /// What `shutdown` said.
    pub fn shutdown_write(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(
            &self.fd,
            rustix::net::Shutdown::Write,
        )?)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
