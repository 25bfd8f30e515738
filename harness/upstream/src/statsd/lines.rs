//! A connection that brings lines.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use eventloop::Fill;
use protocol::statsd::Reassembler;
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::statsd::record::StatsdRecord;
use crate::statsd::tally::Tally;

/// Space offered to one read, shared by all connections.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// A client that sends lines.
#[derive(Debug)]
pub(super) struct Lines {
    fd: OwnedFd,
    reassembler: Reassembler,
}

impl Lines {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            reassembler: Reassembler::default(),
        }
    }

    /// Reads once into `room`, and counts the lines that are complete.
    pub(super) fn read(
        &mut self,
        room: &mut [u8],
        tally: &mut Tally,
        record: &mut StatsdRecord,
    ) -> io::Result<Fill> {
        let before = (tally.lines, self.reassembler.too_long());
        let fill = loop {
            match rustix::net::recv(&self.fd, &mut *room, RecvFlags::empty()) {
                Ok((0, _)) => {
                    self.reassembler.finish(|line| tally.take(line));
                    break Fill::End;
                }
                Ok((n, _)) => {
                    self.reassembler.push(&room[..n], |line| tally.take(line));
                    record.tcp_bytes += n as u64;
                    break Fill::Data(n);
                }
                Err(Errno::AGAIN) => break Fill::Blocked,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        };
        record.tcp_lines += tally.lines - before.0;
        record.tcp_too_long += self.reassembler.too_long() - before.1;
        Ok(fill)
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
