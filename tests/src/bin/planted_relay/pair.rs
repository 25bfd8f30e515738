//! A client's connection and the one to the server that belongs to it.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eventloop::{Fill, Interest, Poller, Readiness, Stream, net};

use crate::Planted;

/// Bytes for one side that wait before no more are taken from the other.
const WAITING_BYTES: usize = 1 << 20;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

#[derive(Debug)]
struct Half {
    stream: Stream,
    watched: Interest,
    /// It has sent all that it will.
    ended: bool,
    /// It has been told that no more comes.
    told: bool,
}

/// Both.
#[derive(Debug)]
pub(crate) struct Pair {
    token: u64,
    client: Half,
    server: Half,
    is_connected: bool,
    /// Replies that are held back.
    held: VecDeque<Vec<u8>>,
    held_bytes: usize,
    losing: Losing,
}

/// Where in the replies we are that lose a line now and then.
#[derive(Debug, Default)]
struct Losing {
    is_within_line: bool,
    is_swallowing: bool,
}

impl Losing {
    /// Appends what is not lost.
    fn pass(&mut self, replies: &[u8], to: &mut Vec<u8>, every: NonZeroU64, lines: &AtomicU64) {
        for part in replies.split_inclusive(|byte| *byte == b'\n') {
            if !self.is_within_line {
                let number = 1 + lines.fetch_add(1, Ordering::Relaxed);
                self.is_swallowing = number.is_multiple_of(every.get());
            }
            self.is_within_line = !part.ends_with(b"\n");
            if !self.is_swallowing {
                to.extend_from_slice(part);
            }
        }
    }
}

impl Half {
    fn new(fd: OwnedFd) -> Self {
        Self {
            stream: Stream::new(fd),
            watched: Interest::Both,
            ended: false,
            told: false,
        }
    }

    /// Sends what waits, and the end after it. `behind` is what is still to come.
    fn send(&mut self, other_ended: bool, behind: usize) -> io::Result<()> {
        let is_flushed = self.stream.unsent() == 0 || self.stream.flush()?;
        if is_flushed && other_ended && behind == 0 && !self.told {
            self.told = true;
            // It may have gone meanwhile.
            let _ = self.stream.shutdown_write();
        }
        Ok(())
    }
}

impl Pair {
    /// Begins to connect to the server; both are watched, under tokens made of this one.
    pub(crate) fn open(
        client: OwnedFd,
        planted: &Planted,
        poller: &Poller,
        token: u64,
    ) -> io::Result<Self> {
        let server = net::start_connect(planted.forward)?;
        poller.add(&client, token << 1, Interest::Both)?;
        poller.add(&server, token << 1 | 1, Interest::Both)?;
        Ok(Self {
            token,
            client: Half::new(client),
            server: Half::new(server),
            is_connected: false,
            held: VecDeque::new(),
            held_bytes: 0,
            losing: Losing::default(),
        })
    }

    /// Does what can be done. Returns whether a chunk of replies is now held back.
    pub(crate) fn ready(
        &mut self,
        side: Side,
        readiness: Readiness,
        planted: &Planted,
    ) -> io::Result<bool> {
        if side == Side::Server && !self.is_connected {
            net::connect_result(&self.server.stream)?;
            self.is_connected = true;
        }
        let mut holds = false;
        if readiness.readable() {
            match side {
                Side::Client => self.take_requests()?,
                Side::Server => holds = self.take_replies(planted)?,
            }
        }
        self.send()?;
        Ok(holds)
    }

    fn take_requests(&mut self) -> io::Result<()> {
        if self.client.ended || self.server.stream.unsent() >= WAITING_BYTES {
            return Ok(());
        }
        match self.client.stream.fill()? {
            Fill::Data(n) => {
                let requests = self.client.stream.inbound();
                self.server.stream.outbound().extend_from_slice(requests);
                self.client.stream.consume(n);
            }
            Fill::End => self.client.ended = true,
            Fill::Blocked => {}
        }
        Ok(())
    }

    fn take_replies(&mut self, planted: &Planted) -> io::Result<bool> {
        let waiting = self.client.stream.unsent() + self.held_bytes;
        if self.server.ended || waiting >= WAITING_BYTES {
            return Ok(false);
        }
        match self.server.stream.fill()? {
            Fill::Data(n) => {
                if let Some(last) = planted.die_after
                    && planted.chunks.fetch_add(1, Ordering::Relaxed) + 1 == last.get()
                {
                    std::process::abort();
                }
                let mut held = Vec::new();
                let to = match planted.delay {
                    Duration::ZERO => self.client.stream.outbound(),
                    _ => &mut held,
                };
                let replies = self.server.stream.inbound();
                match planted.drop_every {
                    Some(every) => self.losing.pass(replies, to, every, &planted.lines),
                    None => to.extend_from_slice(replies),
                }
                self.server.stream.consume(n);
                if held.is_empty() {
                    return Ok(false);
                }
                self.held_bytes += held.len();
                self.held.push_back(held);
                Ok(true)
            }
            Fill::End => {
                self.server.ended = true;
                Ok(false)
            }
            Fill::Blocked => Ok(false),
        }
    }

    /// Lets the chunk go that has been held back the longest.
    pub(crate) fn release(&mut self) -> io::Result<()> {
        if let Some(chunk) = self.held.pop_front() {
            self.held_bytes -= chunk.len();
            self.client.stream.outbound().extend_from_slice(&chunk);
        }
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        self.client.send(self.server.ended, self.held_bytes)?;
        if self.is_connected {
            self.server.send(self.client.ended, 0)?;
        }
        Ok(())
    }

    /// Whether both sides have ended, and know it of one another.
    pub(crate) fn is_over(&self) -> bool {
        self.client.told && self.server.told
    }

    /// Watches both sides for what they can be used for now.
    pub(crate) fn watch(&mut self, poller: &Poller) -> io::Result<()> {
        let to_client = self.client.stream.unsent();
        let to_server = self.server.stream.unsent();
        let is_stuck = !self.is_connected;
        let client = interest(self.client.ended, to_server, to_client > 0);
        let held = to_client + self.held_bytes;
        let server = interest(self.server.ended, held, to_server > 0 || is_stuck);
        for (half, wanted, token) in [
            (&mut self.client, client, self.token << 1),
            (&mut self.server, server, self.token << 1 | 1),
        ] {
            if half.watched != wanted {
                poller.modify(&half.stream, token, wanted)?;
                half.watched = wanted;
            }
        }
        Ok(())
    }
}

fn interest(ended: bool, waiting_for_other: usize, has_unsent: bool) -> Interest {
    match (ended || waiting_for_other >= WAITING_BYTES, has_unsent) {
        (false, false) => Interest::Read,
        (false, true) => Interest::Both,
        // Edge-triggered: an end that is known already is not to be reported for ever.
        (true, false) => Interest::Edge,
        (true, true) => Interest::Write,
    }
}
