//! One connection: a client's socket, the upstream's, and what moves between them.
//!
//! Completions come in, operations go out. How connections find their upstream is in
//! [`super::opening`], how bytes pass in [`super::passing`], how they end in
//! [`super::ending`].

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::control::WorkerShare;
use super::driver::{Driver, Owner, Received, Side};
use super::pipe::Pipe;
use super::protocol::{End, Output, Protocol};
use super::tunnel::{Bulk, Tunnel};

/// Answers of the proxy's own that may wait for a client. A client that does not take
/// them is not read from any more.
const OWN_ANSWERS_BYTES: usize = 64 * 1024;

/// What the sessions of a worker share.
pub(super) struct Context<D, P> {
    pub(super) driver: D,
    pub(super) protocol: P,
    pub(super) share: Arc<WorkerShare>,
    pub(super) now_ms: u64,
    /// Somebody needs the completion of a try send: the next wait must not block.
    pub(super) eager: bool,
    /// This turn of the loop is about one thing only.
    pub(super) alone: bool,
    /// What the protocol writes to; empty between calls.
    pub(super) output: Output,
}

impl<D: Driver, P: Protocol> Context<D, P> {
    pub(super) fn new(driver: D, protocol: P, share: Arc<WorkerShare>, now_ms: u64) -> Self {
        Self {
            driver,
            protocol,
            share,
            now_ms,
            eager: false,
            alone: false,
            output: Output::default(),
        }
    }
}

/// What a connection without an upstream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// For bytes of the client that must come first.
    Preface,
    /// For room.
    Queued,
    /// For an upstream to answer.
    Dialling,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is no upstream yet.
    Opening(Stage),
    /// Bytes may move both ways.
    Open,
    /// One side was reset; the other still gets what was taken, then a reset as well.
    Resetting { side: Side, until_ms: u64 },
    /// Waiting for the kernel to give the last operations back.
    Closing,
    /// Both sockets are closed.
    Over,
}

/// One of the two sockets.
#[derive(Debug, Default)]
pub(super) struct Socket {
    pub(super) fd: Option<OwnedFd>,
    pub(super) receiving: bool,
    /// The peer has ended its side.
    pub(super) ended: bool,
    /// We have ended ours.
    pub(super) end_sent: bool,
    /// Which polls are in flight.
    pub(super) polling: [bool; 2],
    /// It was asked for the last that it brings.
    pub(super) stopping: bool,
    /// Big reads in a row.
    pub(super) big_reads: u8,
    more_expected: bool,
    /// Not read from, because what it brings could not be passed on.
    paused: bool,
}

impl Socket {
    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Whether nothing is in flight but sends.
    pub(super) fn is_quiet(&self) -> bool {
        !self.receiving && self.polling == [false; 2]
    }
}

/// One connection.
pub(super) struct Session<C> {
    pub(super) index: u32,
    pub(super) phase: Phase,
    pub(super) sockets: [Socket; 2],
    /// What is on its way to each side.
    pub(super) pipes: [Pipe; 2],
    pub(super) conn: C,
    pub(super) connecting: bool,
    /// Why the last dial failed.
    pub(super) dial_error: Option<Errno>,
    /// Since when the connection has been in its stage without an upstream.
    pub(super) stage_since_ms: u64,
    pub(super) last_active_ms: u64,
    /// Whether its bytes move within the kernel, and those that do.
    pub(super) bulk: Bulk,
    pub(super) tunnels: [Tunnel; 2],
    /// The first thing that brought it to its end.
    pub(super) end: Option<End>,
}

impl<C> Session<C> {
    pub(super) fn new(index: u32, client: OwnedFd, conn: C, now_ms: u64) -> Self {
        let client = Socket {
            fd: Some(client),
            ..Socket::default()
        };
        Self {
            index,
            phase: Phase::Opening(Stage::Preface),
            sockets: [client, Socket::default()],
            pipes: Default::default(),
            conn,
            connecting: false,
            dial_error: None,
            stage_since_ms: now_ms,
            last_active_ms: now_ms,
            bulk: Bulk::default(),
            tunnels: Default::default(),
            end: None,
        }
    }

    /// A receive has ended.
    pub(super) fn received<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        side: Side,
        outcome: Result<Received, Errno>,
    ) {
        self.sockets[side as usize].receiving = false;
        self.sockets[side as usize].stopping = false;
        let live = self.is_live();
        match outcome {
            Ok(Received::Data { chunk, .. }) if !live => cx.driver.release(chunk),
            _ if !live => {}
            Ok(Received::Data { chunk, len, more }) => {
                self.last_active_ms = cx.now_ms;
                self.sockets[side as usize].more_expected = more;
                self.take(cx, side, chunk, len);
                self.consider_bulk(cx, side, len);
                return self.receive(cx, side);
            }
            Ok(Received::End) => {
                self.ended(cx, side);
                // What waited for answers that will not come need not wait any more.
                return self.receive(cx, side.other());
            }
            // Every buffer is in use in this turn; there will be some in the next.
            Err(Errno::NOBUFS) => {
                self.sockets[side as usize].more_expected = true;
                cx.eager = true;
                return self.receive(cx, side);
            }
            Err(Errno::CANCELED) => self.begin_bulk(cx),
            Err(_) => return self.broke(cx, side),
        }
        self.after_the_end(cx);
    }

    /// Receives from a side, if that is possible and what it brings can be passed on.
    pub(super) fn receive<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        from: Side,
    ) {
        match self.bulk {
            Bulk::Yes => return,
            Bulk::Changing if !self.pipes[from as usize].is_waiting() => {
                return self.begin_bulk(cx);
            }
            Bulk::No | Bulk::Changing => {}
        }
        let socket = &self.sockets[from as usize];
        if !self.is_live() || socket.receiving || socket.ended || socket.fd.is_none() {
            return;
        }
        let target = &self.pipes[from.other() as usize];
        let answers = &self.pipes[Side::Client as usize];
        let full = from == Side::Client
            && !answers.is_broken()
            && (cx.protocol.is_full(&self.conn) || answers.unsent() > OWN_ANSWERS_BYTES);
        let pause = target.is_blocked() || full;
        let was_paused = std::mem::replace(&mut self.sockets[from as usize].paused, pause);
        if pause {
            cx.share.counters.read_paused.add((!was_paused).into());
            return;
        }
        // Also if nobody takes what it brings any more: it is dropped, or the other side
        // might wait for ever before it reads on.
        let socket = &self.sockets[from as usize];
        cx.driver
            .receive(self.owner(from), socket.raw(), socket.more_expected);
        self.sockets[from as usize].receiving = true;
    }

    /// Whether bytes may still move.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Opening(_) | Phase::Open)
    }

    /// Notes why the connection ends, if nothing did so before.
    pub(super) fn ends_as(&mut self, end: End) {
        self.end.get_or_insert(end);
    }

    pub(super) fn owner(&self, side: Side) -> Owner {
        Owner {
            session: self.index,
            side,
        }
    }
}
