//! A connection and the lines that wait to be written on it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::ledger::Ledger;
use crate::tally::NotSent;

/// Most bytes that wait: some 40,000 lines, what a fast sender has due while the target
/// pauses for a moment.
pub(super) const MOST_UNWRITTEN: usize = 1 << 20;

/// A connection, and which lines its buffer holds.
pub(super) struct Stream {
    inner: eventloop::Stream,
    parts: VecDeque<Part>,
    /// Bytes of all parts.
    held: usize,
}

/// Lines with numbers in a row.
#[derive(Clone, Copy, Debug)]
struct Part {
    first: u64,
    lines: u64,
    bytes: usize,
    counts: bool,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Stream {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self {
            inner: eventloop::Stream::new(fd),
            parts: VecDeque::new(),
            held: 0,
        }
    }

    /// Bytes that wait.
    pub(super) fn unwritten(&self) -> usize {
        self.inner.unsent()
    }

    /// Puts lines at the end of what waits.
    pub(super) fn push(&mut self, bytes: &[u8], first: u64, lines: u64, counts: bool) {
        self.inner.outbound().extend_from_slice(bytes);
        self.parts.push_back(Part {
            first,
            lines,
            bytes: bytes.len(),
            counts,
        });
        self.held += bytes.len();
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// How the connection broke.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let went = self.inner.flush();
        while let Some(part) = self.parts.front()
            && self.held - part.bytes >= self.inner.unsent()
        {
            self.held -= part.bytes;
            self.parts.pop_front();
        }
        went.map(drop)
    }

    /// Takes the lines back whose ends are not written.
    pub(super) fn give_up(mut self, kind: NotSent, ledger: &mut Ledger) {
        let unsent = self.inner.unsent();
        let buffer = self.inner.outbound();
        let mut rest = &buffer[buffer.len() - unsent..];
        let mut from_end = self.held;
        for part in &self.parts {
            from_end -= part.bytes;
            let of_part = rest.len() - from_end;
            let (bytes, later) = rest.split_at(of_part);
            rest = later;
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            let first = part.first + part.lines - lines;
            ledger.taken_back(part.counts, first, lines, bytes.len() as u64, kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    use super::*;
    use crate::statsd::ledger::Ranges;

    fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        (Stream::new(ours.into()), listener.accept().unwrap().0)
    }

    #[test]
    fn what_is_written_is_forgotten_and_what_is_not_is_taken_back() {
        let (mut stream, mut peer) = pair();
        let mut ledger = Ledger::new(Arc::default());
        let mut number = 0;
        // Until the kernel takes no more, and then two parts behind that.
        while stream.unwritten() < 3_000 {
            for counts in [false, true] {
                let bytes = b"0123456789abcde\n".repeat(100);
                stream.push(&bytes, number, 100, counts);
                ledger.sent(counts, 100, 0, bytes.len() as u64);
                number += 100;
            }
            stream.flush().unwrap();
        }
        assert!(stream.parts.len() < 8, "{}", stream.parts.len());
        stream.give_up(NotSent::Broken, &mut ledger);
        let mut come = Vec::new();
        peer.read_to_end(&mut come).unwrap();
        let whole = come.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(ledger.all.lines, whole);
        assert_eq!(ledger.all.bytes, come.len() as u64);
        assert_eq!(ledger.all.not_sent(NotSent::Broken), number - whole);
        let expected = (vec![[whole, number - 1]], true);
        assert_eq!(Ranges::join([&ledger.ranges]), expected);
        assert!((1..ledger.all.lines).contains(&ledger.measured.lines));
    }
}
