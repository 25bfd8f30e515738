//! How connections end.
//!
//! A FIN from one side becomes a FIN to the other once everything before it has left,
//! while the opposite direction goes on. A reset becomes a reset, but not before the
//! bytes that were already taken have been delivered: closing at once would throw away
//! what still lies in the send queue.

use std::os::fd::{AsFd, OwnedFd};

use super::control::Limits;
use super::driver::{Driver, Pending, Ready, Side};
use super::protocol::{End, Protocol};
use super::session::{Context, Phase, Session, Socket, Stage};

/// How long a reset waits for bytes that the other side has not acknowledged: a peer
/// that does not read must not hold the connection for ever.
const RESET_FLUSH_MS: u64 = 2_000;

impl<C> Session<C> {
    /// The peer on `side` has ended its side.
    pub(super) fn ended<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        side: Side,
    ) {
        self.sockets[side as usize].ended = true;
        if self.pipes[side as usize].is_broken() {
            // The send that failed took the error; what is left of it looks like an end.
            return self.broke(cx, side);
        }
        match side {
            Side::Client => {
                let reset = cx.protocol.client_end(&mut self.conn, &mut cx.output);
                self.pipes[Side::Upstream as usize].drop_held();
                self.put_out(cx);
                if reset {
                    cx.share.counters.reset_by_mode.add(1);
                    self.ends_as(End::ByMode);
                    return self.abort(cx, [true, true]);
                }
                if matches!(self.phase, Phase::Opening(Stage::Preface)) {
                    // What must come first will not come.
                    self.ends_as(End::GaveUp);
                    return self.abort(cx, [false, false]);
                }
            }
            Side::Upstream => {
                cx.protocol
                    .upstream_end(&mut self.conn, &mut cx.output.to_client);
                self.put_out(cx);
            }
        }
        self.ends_as(End::Finished(side));
        self.settle_ends(cx);
    }

    /// Passes ends on whose time has come, and closes when both have passed.
    pub(super) fn settle_ends<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        if self.phase != Phase::Open {
            return;
        }
        if Side::BOTH.into_iter().all(|side| self.is_through(side)) {
            return self.abort(cx, [false, false]);
        }
        for side in Side::BOTH {
            if self.is_through(side) && !self.sockets[side as usize].end_sent {
                self.sockets[side as usize].end_sent = true;
                cx.driver.shutdown_write(self.sockets[side as usize].raw());
            } else if self.sockets[side.other() as usize].ended {
                // The end follows the last bytes; hear of their leaving soon.
                let pipe = &self.pipes[side as usize];
                cx.eager |= pipe.in_flight() && !pipe.is_waiting();
            }
        }
    }

    /// Whether everything that will ever go to `side` has left.
    fn is_through(&self, side: Side) -> bool {
        let pipe = &self.pipes[side as usize];
        self.sockets[side.other() as usize].ended
            && (pipe.is_drained() || pipe.is_broken())
            && self.tunnels[side as usize].is_empty()
    }

    /// The connection to `side` is broken: the other side gets what was taken, then a
    /// reset.
    pub(super) fn broke<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        side: Side,
    ) {
        cx.share.counters.reset.add(1);
        // An end before it was an end of one side only.
        self.end = match self.end {
            None | Some(End::Finished(_)) => Some(End::Reset(side)),
            end => end,
        };
        self.give_up(cx, side);
    }

    /// Has no more to do with `side`: the other side gets what was taken, then both are
    /// reset.
    pub(super) fn give_up<D: Driver, P>(&mut self, cx: &mut Context<D, P>, side: Side) {
        if matches!(self.phase, Phase::Opening(_)) {
            self.ends_as(End::GaveUp);
            // What the mode had to say about it is still said, if the socket takes it.
            return self.abort(cx, [self.pipes[0].is_drained(), true]);
        }
        let other = side.other();
        self.pipes[side as usize].break_off();
        self.tunnels[side as usize].discard();
        self.pipes[other as usize].drop_held();
        self.phase = Phase::Resetting {
            side: other,
            until_ms: cx.now_ms + RESET_FLUSH_MS,
        };
        self.take_back_reads(cx);
        self.reset_when_flushed(cx);
    }

    /// Resets the side that is left, if nothing is on its way to it any more or time is
    /// up.
    fn reset_when_flushed<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        let Phase::Resetting { side, until_ms } = self.phase else {
            return;
        };
        let pipe = &self.pipes[side as usize];
        let sent = pipe.is_drained() && self.tunnels[side as usize].is_empty();
        let gone = pipe.is_broken() || (sent && self.is_acknowledged(side));
        if gone || cx.now_ms >= until_ms {
            self.abort(cx, [true, true]);
        } else {
            cx.eager |= pipe.in_flight() && !pipe.is_waiting();
        }
    }

    /// Whether the peer has acknowledged everything that was sent to it.
    fn is_acknowledged(&self, side: Side) -> bool {
        let Some(fd) = &self.sockets[side as usize].fd else {
            return true;
        };
        unacknowledged(fd).is_none_or(|bytes| bytes == 0)
    }

    /// After an event in the last phases: goes on with whatever is left to do.
    pub(super) fn after_the_end<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        match self.phase {
            Phase::Resetting { .. } => self.reset_when_flushed(cx),
            _ => self.finish_if_quiet(cx),
        }
    }

    /// Ends the connection now; `reset` says for each side whether by a reset.
    pub(super) fn abort<D: Driver, P>(&mut self, cx: &mut Context<D, P>, reset: [bool; 2]) {
        for side in Side::BOTH {
            let socket = &self.sockets[side as usize];
            let Some(fd) = &socket.fd else { continue };
            if reset[side as usize] {
                // If it cannot be set, the close is an orderly one; it is a close anyway.
                let _ = eventloop::net::reset_on_close(fd);
            }
            self.tunnels[side as usize].discard();
            let pipe = &mut self.pipes[side as usize];
            pipe.break_off();
            if pipe.is_waiting() {
                cx.driver.cancel(
                    self.owner(side),
                    self.sockets[side as usize].raw(),
                    Pending::Send,
                );
            }
        }
        self.take_back_reads(cx);
        for side in Side::BOTH {
            if self.sockets[side as usize].polling[Ready::Write as usize] {
                let fd = self.sockets[side as usize].raw();
                let poll = Pending::Poll(Ready::Write);
                cx.driver.cancel(self.owner(side), fd, poll);
            }
        }
        if self.connecting {
            let fd = self.sockets[Side::Upstream as usize].raw();
            cx.driver
                .cancel(self.owner(Side::Upstream), fd, Pending::Connect);
        }
        self.phase = Phase::Closing;
        self.finish_if_quiet(cx);
    }

    /// Takes back what waits for bytes.
    fn take_back_reads<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        for side in Side::BOTH {
            let (socket, owner) = (&self.sockets[side as usize], self.owner(side));
            if socket.receiving {
                cx.driver.cancel(owner, socket.raw(), Pending::Receive);
            }
            if socket.polling[Ready::Read as usize] {
                let poll = Pending::Poll(Ready::Read);
                cx.driver.cancel(owner, socket.raw(), poll);
            }
        }
    }

    /// Closes both sockets once no operation is left.
    pub(super) fn finish_if_quiet<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        if self.phase != Phase::Closing {
            return;
        }
        let flying = self.pipes.iter().any(super::pipe::Pipe::in_flight);
        let quiet = self.sockets.iter().all(Socket::is_quiet);
        if flying || !quiet || self.connecting {
            cx.eager |= flying;
            return;
        }
        for side in Side::BOTH {
            if let Some(fd) = self.sockets[side as usize].fd.take() {
                cx.driver.close(self.owner(side), fd);
            }
        }
        self.phase = Phase::Over;
    }

    /// When this session has lasted too long, if ever.
    pub(super) fn deadline_ms(&self, limits: &Limits) -> Option<u64> {
        let after = |start: u64, limit: u64| (limit > 0).then(|| start.saturating_add(limit));
        match self.phase {
            Phase::Opening(Stage::Preface) => after(self.stage_since_ms, limits.preface_ms),
            Phase::Opening(Stage::Queued) => after(self.stage_since_ms, limits.queue_ms),
            Phase::Opening(Stage::Dialling) => after(self.stage_since_ms, limits.connect_ms),
            Phase::Open => {
                let idle = after(self.last_active_ms, limits.idle_ms);
                let half = after(self.last_active_ms, limits.half_closed_ms);
                let half = half.filter(|_| self.sockets.iter().any(|socket| socket.ended));
                [idle, half].into_iter().flatten().min()
            }
            Phase::Resetting { .. } | Phase::Closing | Phase::Over => None,
        }
    }

    /// The deadline has come.
    pub(super) fn overdue<D: Driver, P: Protocol<Conn = C>>(&mut self, cx: &mut Context<D, P>) {
        match self.phase {
            Phase::Opening(stage) => self.opening_overdue(cx, stage),
            Phase::Open => {
                let half = self.sockets.iter().any(|socket| socket.ended);
                let counters = &cx.share.counters;
                let (counter, end) = if half {
                    (&counters.half_closed_timeout, End::HalfClosed)
                } else {
                    (&counters.idle_timeout, End::Idle)
                };
                counter.add(1);
                self.end = Some(end);
                self.abort(cx, [false, false]);
            }
            Phase::Resetting { .. } | Phase::Closing | Phase::Over => {}
        }
    }
}

/// Bytes in the send queue that the peer has not acknowledged (SIOCOUTQ).
#[expect(unsafe_code, reason = "an ioctl names its argument's type by number")]
fn unacknowledged(fd: &OwnedFd) -> Option<i32> {
    // SAFETY: SIOCOUTQ, which is TIOCOUTQ, writes one int.
    let outq = unsafe { rustix::ioctl::Getter::<{ libc::TIOCOUTQ as _ }, i32>::new() };
    // SAFETY: it has no other effect.
    unsafe { rustix::ioctl::ioctl(fd.as_fd(), outq) }.ok()
}
