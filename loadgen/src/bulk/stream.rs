//! One connection of a bulk transfer.

use std::io;
use std::os::fd::AsFd as _;

use eventloop::Fill;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::{BulkPlan, pattern};
use crate::args::BulkArg;
use crate::link::Link;
use crate::throttle::Throttle;

/// Most bytes that are made at once: they should be sent from a cache.
const PIECE: usize = 256 * 1024;

/// Fewest: below that, calls cost more than bytes.
const LEAST_PIECE: usize = 16 * 1024;

/// Memory for the pieces of all connections.
const ALL_PIECES: usize = 64 * 1024 * 1024;

/// Bytes that are taken from a socket at once.
pub(super) const READ: usize = 1024 * 1024;

/// Bytes of the count that a sink may end with.
pub(super) const COUNT: usize = 8;

/// Bytes that are given to TLS at once: what it buffers without a limit.
const TLS_PIECE: usize = 64 * 1024;

/// A connection and how far it is.
pub(super) struct Stream {
    link: Link,
    is_plain: bool,
    /// The piece of the stream that is being sent, and how much of it is.
    piece: Vec<u8>,
    gone: usize,
    /// Most bytes of a piece.
    most: usize,
    throttle: Option<Throttle>,
    pub(super) sent: u64,
    pub(super) incoming: Incoming,
    pub(super) can_read: bool,
    pub(super) can_write: bool,
    /// Bytes to send and to receive; the largest number if only time is limited.
    send_end: u64,
    receive_end: u64,
    /// Whether our side ends when all is sent. One that only receives ends with the run.
    ends_our_side: bool,
    our_side_ended: bool,
    /// Whether there is nothing to send for when the target has ended its side.
    stops_at_the_end: bool,
    /// Whether the target has ended its side.
    pub(super) ended: bool,
    /// Whether it was reset.
    pub(super) reset: bool,
}

/// What has come.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    pub(super) bytes: u64,
    /// Bytes that were not what belongs at their place, and the place of the first.
    pub(super) wrong: u64,
    pub(super) first_wrong: Option<u64>,
    /// What a sink said, which may be the count of what it took.
    pub(super) said: Vec<u8>,
}

impl Stream {
    /// A stream over an open connection.
    pub(super) fn new(
        link: Link,
        plan: &BulkPlan,
        connections: usize,
        read_rate: Option<u64>,
    ) -> Self {
        let limit = plan.bytes.unwrap_or(u64::MAX);
        let is_plain = !link.has_tls();
        Self {
            link,
            is_plain,
            piece: Vec::new(),
            most: (ALL_PIECES / connections.max(1)).clamp(LEAST_PIECE, PIECE),
            gone: 0,
            throttle: read_rate.map(Throttle::new).filter(|_| is_plain),
            sent: 0,
            incoming: Incoming::default(),
            can_read: true,
            can_write: true,
            send_end: if plan.direction.sends() { limit } else { 0 },
            receive_end: match plan.direction {
                BulkArg::Receive | BulkArg::Both => limit,
                BulkArg::Send | BulkArg::Echo => u64::MAX,
            },
            ends_our_side: plan.direction.sends(),
            our_side_ended: false,
            stops_at_the_end: plan.direction != BulkArg::Both,
            ended: false,
            reset: false,
        }
    }

    /// Whether it has come to an end of any kind.
    pub(super) fn is_over(&self) -> bool {
        self.reset
            || (self.ended && (self.stops_at_the_end || self.has_sent_all()))
            || self.has_received_all()
    }

    /// Whether as much has been sent as is to be.
    pub(super) fn has_sent_all(&self) -> bool {
        self.sent >= self.send_end
    }

    /// A limited number of bytes to receive has come, and nothing is left to send.
    fn has_received_all(&self) -> bool {
        self.incoming.bytes >= self.receive_end && self.has_sent_all()
    }

    /// Whether a step could be made at `now`; otherwise from when on, if that is known.
    pub(super) fn is_runnable(&self, now: u64) -> Result<bool, u64> {
        if self.is_over() {
            return Ok(false);
        }
        if self.wants_to_write() {
            return Ok(true);
        }
        let paused = match &self.throttle {
            Some(throttle) => throttle.allows(now).err(),
            None => self.link.paused_until(now).filter(|_| !self.is_plain),
        };
        match paused {
            Some(when) if self.can_read && !self.ended => Err(when),
            _ => Ok(self.can_read && !self.ended),
        }
    }

    fn wants_to_write(&self) -> bool {
        let has_bytes = self.sent < self.send_end || self.link.has_unsent();
        self.can_write && !self.our_side_ended && (has_bytes || self.ends_our_side)
    }

    /// Sends and receives as much as one call each takes.
    pub(super) fn step(&mut self, plan: &BulkPlan, buffer: &mut [u8], now: u64) {
        if self.wants_to_write() {
            let sent = if self.is_plain {
                self.send_plain(plan)
            } else {
                self.send_tls(plan)
            };
            if sent.is_err() {
                self.reset = true;
                return;
            }
        }
        if self.can_read && !self.is_over() && !self.ended {
            let received = if self.is_plain {
                self.receive_plain(plan, buffer, now)
            } else {
                self.receive_tls(plan, now)
            };
            if received.is_err() {
                self.reset = true;
            }
        }
    }

    /// Nothing more is to be sent than has been.
    pub(super) fn stop_sending(&mut self) {
        self.send_end = self.sent;
        self.ends_our_side = true;
        self.piece.clear();
        self.gone = 0;
        self.can_write = true;
    }

    fn has_ended(&mut self) {
        self.ended = true;
        self.can_read = false;
    }

    fn end_our_side_if_wanted(&mut self) -> io::Result<()> {
        if !self.ends_our_side {
            return Ok(());
        }
        self.our_side_ended = true;
        self.piece = Vec::new();
        self.link.shutdown_write()
    }

    fn send_plain(&mut self, plan: &BulkPlan) -> io::Result<()> {
        if self.link.has_unsent() && !self.link.flush()? {
            self.can_write = false;
            return Ok(());
        }
        if self.gone == self.piece.len() {
            if self.sent >= self.send_end {
                return self.end_our_side_if_wanted();
            }
            let bytes = (self.send_end - self.sent).min(self.most as u64) as usize;
            self.piece.resize(bytes, 0);
            self.gone = 0;
            if plan.verify {
                pattern::fill(plan.seed, self.sent, &mut self.piece);
            }
        }
        match rustix::net::send(&self.link, &self.piece[self.gone..], SendFlags::NOSIGNAL) {
            Ok(bytes) => {
                self.gone += bytes;
                self.sent += bytes as u64;
                Ok(())
            }
            Err(Errno::AGAIN) => {
                self.can_write = false;
                Ok(())
            }
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn send_tls(&mut self, plan: &BulkPlan) -> io::Result<()> {
        if !self.link.has_unsent() {
            if self.sent >= self.send_end {
                return self.end_our_side_if_wanted();
            }
            let bytes = (self.send_end - self.sent).min(TLS_PIECE as u64) as usize;
            let out = self.link.outbound();
            let from = out.len();
            out.resize(from + bytes, 0);
            if plan.verify {
                pattern::fill(plan.seed, self.sent, &mut out[from..]);
            }
            self.sent += bytes as u64;
        }
        self.can_write = self.link.flush()?;
        Ok(())
    }

    fn receive_plain(&mut self, plan: &BulkPlan, buffer: &mut [u8], now: u64) -> io::Result<()> {
        let mut room = buffer.len();
        if let Some(throttle) = &self.throttle {
            match throttle.allows(now) {
                Ok(bytes) => room = room.min(bytes),
                Err(_) => return Ok(()),
            }
        }
        let left = usize::try_from(self.receive_end - self.incoming.bytes).unwrap_or(usize::MAX);
        room = room.min(left);
        // What nobody looks at need not be copied.
        let flags = if plan.verify || !plan.direction.receives() {
            RecvFlags::empty()
        } else {
            RecvFlags::TRUNC
        };
        match rustix::net::recv(self.link.as_fd(), &mut buffer[..room], flags) {
            Ok((_, 0)) => self.has_ended(),
            Ok((_, bytes)) => {
                if let Some(throttle) = &mut self.throttle {
                    throttle.took(bytes, now);
                }
                self.incoming.take(plan, &buffer[..bytes]);
            }
            Err(Errno::AGAIN) => self.can_read = false,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn receive_tls(&mut self, plan: &BulkPlan, now: u64) -> io::Result<()> {
        match self.link.fill(now)? {
            Fill::Data(bytes) => {
                self.incoming.take(plan, self.link.inbound());
                self.link.consume(bytes);
            }
            Fill::Blocked => self.can_read = self.link.paused_until(now).is_some(),
            Fill::End => self.has_ended(),
        }
        Ok(())
    }
}

impl Incoming {
    fn take(&mut self, plan: &BulkPlan, bytes: &[u8]) {
        if !plan.direction.receives() {
            let room = (COUNT + 1).saturating_sub(self.said.len());
            self.said.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return;
        }
        if plan.verify
            && let Some((wrong, first)) = pattern::differences(plan.seed, self.bytes, bytes)
        {
            self.wrong += wrong;
            self.first_wrong.get_or_insert(first);
        }
        self.bytes += bytes.len() as u64;
    }
}
