//! What waits for one node: lines that gather until they fill a datagram, datagrams until
//! the socket takes them, lines that are kept until the node is back.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use eventloop::datagram::{self, Sender};
use rustix::io::Errno;

use super::counters::WorkerCounters;
use crate::statsd::settings::Node;

/// How often a send is tried again because of what earlier datagrams brought back.
const TRIES: usize = 8;

/// Datagrams that are sent before it is seen whether earlier ones came back.
const PORTION: usize = 64;

/// A datagram that is ready to leave.
#[derive(Clone, Copy, Debug, Default)]
struct Sealed {
    len: usize,
    lines: u32,
    copies: u32,
}

/// Whether a line is the one that counts, or a copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Line,
    Copy,
}

/// What waits for one node.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) node: Arc<Node>,
    fd: OwnedFd,
    /// The datagrams that are ready, one after the other, then the one that is being filled.
    bytes: Vec<u8>,
    sealed: VecDeque<Sealed>,
    /// What is being filled; nothing if it holds no line.
    open: Sealed,
    /// Lines that are kept until the node is back, one after the other, and their lengths.
    held: VecDeque<u8>,
    held_lens: VecDeque<usize>,
    /// The socket has no room: it is polled for it.
    pub(super) blocked: bool,
    /// The node's host has sent something back.
    refused: bool,
    pub(super) watched_for_room: bool,
}

impl Outbox {
    pub(super) fn open(node: Arc<Node>) -> io::Result<Self> {
        let fd = datagram::connect(node.addr)?;
        Ok(Self {
            node,
            fd,
            bytes: Vec::new(),
            sealed: VecDeque::new(),
            open: Sealed::default(),
            held: VecDeque::new(),
            held_lens: VecDeque::new(),
            blocked: false,
            refused: false,
            watched_for_room: false,
        })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Bytes that wait for the socket, with what remembering them takes.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() + self.sealed.len() * size_of::<Sealed>()
    }

    /// Whether datagrams are ready to leave.
    pub(super) fn is_ready(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// Whether lines wait for company.
    pub(super) fn is_filling(&self) -> bool {
        self.open.lines + self.open.copies > 0
    }

    /// Lines that have not left, copies apart.
    pub(super) fn pending(&self) -> u64 {
        let ready: u64 = self.sealed.iter().map(|one| u64::from(one.lines)).sum();
        ready + u64::from(self.open.lines) + self.held_lens.len() as u64
    }

    /// Adds a line, in a datagram of at most `mtu` bytes; 0 gives it one of its own.
    pub(super) fn push(&mut self, line: &[u8], kind: Kind, mtu: usize) {
        if self.is_filling() {
            let others = match kind {
                Kind::Line => self.open.copies,
                Kind::Copy => self.open.lines,
            };
            if self.open.len + 1 + line.len() > mtu || others > 0 {
                self.seal();
            } else {
                self.bytes.push(b'\n');
                self.open.len += 1;
            }
        }
        self.bytes.extend_from_slice(line);
        self.open.len += line.len();
        match kind {
            Kind::Line => self.open.lines += 1,
            Kind::Copy => self.open.copies += 1,
        }
        if self.open.len >= mtu {
            self.seal();
        }
    }

    /// Closes the datagram that is being filled.
    pub(super) fn seal(&mut self) {
        if self.is_filling() {
            self.sealed.push_back(std::mem::take(&mut self.open));
        }
    }

    /// Sends what is ready.
    pub(super) fn send(&mut self, sender: &mut Sender, counters: &WorkerCounters) {
        let mut tries = TRIES;
        self.blocked = false;
        while !self.sealed.is_empty() {
            let bytes = &self.bytes;
            let mut start = 0;
            let datagrams = self.sealed.iter().take(PORTION).map(|one| {
                start += one.len;
                &bytes[start - one.len..start]
            });
            match sender.send(self.fd.as_fd(), datagrams) {
                Ok(0) | Err(Errno::AGAIN) => {
                    self.blocked = true;
                    break;
                }
                // A queue behind the socket is full: it has no event for room.
                Err(Errno::NOBUFS) => break,
                Ok(sent) => {
                    self.left(sent, counters);
                    if sent == PORTION {
                        // The kernel keeps only a few hundred of those that came back.
                        self.take_returned(counters);
                    }
                }
                // The error may be that of an earlier datagram: it is told only once.
                Err(errno) => {
                    let earlier = self.take_returned(counters) || errno == Errno::CONNREFUSED;
                    self.refused |= errno == Errno::CONNREFUSED;
                    if earlier && tries > 0 {
                        tries -= 1;
                    } else {
                        self.failed(counters);
                    }
                }
            }
        }
    }

    /// The first `sent` datagrams have left.
    fn left(&mut self, sent: usize, counters: &WorkerCounters) {
        let mut all = Sealed::default();
        for one in self.sealed.drain(..sent) {
            all.len += one.len;
            all.lines += one.lines;
            all.copies += one.copies;
        }
        self.forget(all.len);
        let (lines, copies) = (all.lines.into(), all.copies.into());
        counters.lines_forwarded.add(lines);
        counters.mirrored.add(copies);
        counters.datagrams_forwarded.add(sent as u64);
        counters.bytes_forwarded.add(all.len as u64);
        let node = &self.node.counters;
        node.lines.fetch_add(lines, Relaxed);
        node.mirrored.fetch_add(copies, Relaxed);
        node.datagrams.fetch_add(sent as u64, Relaxed);
        node.bytes.fetch_add(all.len as u64, Relaxed);
    }

    /// The first datagram cannot leave.
    fn failed(&mut self, counters: &WorkerCounters) {
        if let Some(one) = self.sealed.pop_front() {
            self.forget(one.len);
            counters.dropped_send_error.add(one.lines.into());
        }
    }

    /// The first bytes are needed no more.
    fn forget(&mut self, len: usize) {
        self.bytes.drain(..len);
    }

    /// Takes what came back of earlier datagrams. Says whether there was anything.
    pub(super) fn take_returned(&mut self, counters: &WorkerCounters) -> bool {
        let (mut refused, mut others) = (0, 0);
        datagram::take_returned(self.fd.as_fd(), |why, _| match why {
            Errno::CONNREFUSED => refused += 1,
            _ => others += 1,
        });
        counters.datagrams_refused.add(refused);
        self.node.counters.refused.fetch_add(refused, Relaxed);
        self.refused |= refused > 0;
        refused + others > 0
    }

    /// Whether the node's host has sent something back since this was last asked.
    pub(super) fn was_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// Throws away what the node sends: nobody asked it anything.
    pub(super) fn discard_answers(&self) {
        let mut nowhere = [0_u8; 16];
        let flags = rustix::net::RecvFlags::DONTWAIT | rustix::net::RecvFlags::TRUNC;
        // A few at a time: what is left is still there at the next turn.
        for _ in 0..64 {
            if rustix::net::recv(&self.fd, &mut nowhere[..], flags).is_err() {
                return;
            }
        }
    }

    /// Drops what waits for the socket. Says how many lines that were.
    pub(super) fn drop_waiting(&mut self) -> u64 {
        self.seal();
        let lines = self.sealed.drain(..).map(|one| u64::from(one.lines)).sum();
        self.bytes.clear();
        lines
    }

    /// Takes out the lines that wait for the socket; copies are dropped.
    pub(super) fn take_waiting(&mut self, mut each: impl FnMut(&[u8])) {
        self.seal();
        let mut start = 0;
        for one in self.sealed.drain(..) {
            let datagram = &self.bytes[start..start + one.len];
            start += one.len;
            if one.lines > 0 && one.copies == 0 {
                protocol::statsd::lines(datagram).for_each(&mut each);
            }
        }
        self.bytes.clear();
    }

    /// Keeps a line until the node is back. Says whether there was room for it.
    pub(super) fn hold(&mut self, line: &[u8], most: usize) -> bool {
        let has_room = self.held_bytes() + line.len() + size_of::<usize>() <= most;
        if has_room {
            self.held.extend(line);
            self.held_lens.push_back(line.len());
            self.node.counters.held_lines.fetch_add(1, Relaxed);
        }
        has_room
    }

    /// Keeps the lines that wait for the socket as well, before those that came after them.
    /// Says how many lines there was no room for.
    pub(super) fn hold_waiting(&mut self, most: usize) -> u64 {
        let mut later = (
            std::mem::take(&mut self.held),
            std::mem::take(&mut self.held_lens),
        );
        let kept = later.1.len() as u64;
        self.node.counters.held_lines.fetch_sub(kept, Relaxed);
        let mut waiting = Vec::new();
        self.take_waiting(|line| {
            waiting.extend_from_slice(line);
            waiting.push(b'\n');
        });
        let mut dropped = 0;
        for line in protocol::statsd::lines(&waiting) {
            dropped += u64::from(!self.hold(line, most));
        }
        for len in later.1.drain(..) {
            let line: Vec<u8> = later.0.drain(..len).collect();
            dropped += u64::from(!self.hold(&line, most));
        }
        dropped
    }

    /// What is kept takes so much memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.len() + self.held_lens.len() * size_of::<usize>()
    }

    /// Whether lines are kept.
    pub(super) fn holds(&self) -> bool {
        !self.held_lens.is_empty()
    }

    /// Takes out lines that were kept, of about `most` bytes in all.
    pub(super) fn take_held(&mut self, most: usize, mut each: impl FnMut(&mut Self, &[u8])) {
        let mut taken = 0;
        let mut line = Vec::new();
        while taken < most
            && let Some(len) = self.held_lens.pop_front()
        {
            line.clear();
            line.extend(self.held.drain(..len));
            taken += len + 1;
            self.node.counters.held_lines.fetch_sub(1, Relaxed);
            each(self, &line);
        }
        if self.held_lens.is_empty() {
            // It may have been much, and may not be needed again for long.
            self.held = VecDeque::new();
            self.held_lens = VecDeque::new();
        }
    }
}
