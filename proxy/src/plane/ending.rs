//! How connections end.
//!
//! A FIN from one side becomes a FIN to the other once everything before it has left,
//! while the opposite direction goes on. A reset becomes a reset, but not before the
//! bytes that were already taken have been delivered: closing at once would throw away
//! what still lies in the send queue.

use std::os::fd::{AsFd, OwnedFd};

use super::driver::{Driver, Pending, Side};
use super::protocol::Protocol;
use super::session::{Context, Phase, Session};

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
                let reset = cx.protocol.client_end(&mut self.conn, &mut cx.scratch);
                self.pipes[Side::Upstream as usize].drop_held();
                self.answer(cx);
                if reset {
                    cx.share.counters.reset_by_mode.add(1);
                    return self.abort(cx, [true, true]);
                }
            }
            Side::Upstream => cx.protocol.upstream_end(&mut self.conn),
        }
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
        self.sockets[side.other() as usize].ended && (pipe.is_drained() || pipe.is_broken())
    }

    /// The connection to `side` is broken: the other side gets what was taken, then a
    /// reset.
    pub(super) fn broke<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        side: Side,
    ) {
        cx.share.counters.reset.add(1);
        self.give_up(cx, side);
    }

    /// Has no more to do with `side`: the other side gets what was taken, then both are
    /// reset.
    pub(super) fn give_up<D: Driver, P>(&mut self, cx: &mut Context<D, P>, side: Side) {
        if self.phase == Phase::Connecting {
            return self.abort(cx, [true, true]);
        }
        let other = side.other();
        self.pipes[side as usize].break_off();
        self.pipes[other as usize].drop_held();
        self.phase = Phase::Resetting {
            side: other,
            until_ms: cx.now_ms + RESET_FLUSH_MS,
        };
        for side in Side::BOTH {
            if self.sockets[side as usize].receiving {
                let fd = self.sockets[side as usize].raw();
                cx.driver.cancel(self.owner(side), fd, Pending::Receive);
            }
        }
        self.reset_when_flushed(cx);
    }

    /// Resets the side that is left, if nothing is on its way to it any more or time is
    /// up.
    fn reset_when_flushed<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        let Phase::Resetting { side, until_ms } = self.phase else {
            return;
        };
        let pipe = &self.pipes[side as usize];
        let gone = pipe.is_broken() || (pipe.is_drained() && self.is_acknowledged(side));
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
            if socket.receiving {
                cx.driver
                    .cancel(self.owner(side), socket.raw(), Pending::Receive);
            }
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
        if self.connecting {
            let fd = self.sockets[Side::Upstream as usize].raw();
            cx.driver
                .cancel(self.owner(Side::Upstream), fd, Pending::Connect);
        }
        self.phase = Phase::Closing;
        self.finish_if_quiet(cx);
    }

    /// Closes both sockets once no operation is left.
    pub(super) fn finish_if_quiet<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        if self.phase != Phase::Closing {
            return;
        }
        let flying = self.pipes.iter().any(super::pipe::Pipe::in_flight);
        let receiving = self.sockets.iter().any(|socket| socket.receiving);
        if flying || receiving || self.connecting {
            cx.eager |= flying;
            return;
        }
        for socket in &mut self.sockets {
            if let Some(fd) = socket.fd.take() {
                cx.driver.close(fd);
            }
        }
        self.phase = Phase::Over;
    }

    /// When this session has lasted too long, if ever.
    pub(super) fn deadline_ms<D, P>(&self, cx: &Context<D, P>) -> Option<u64> {
        let limits = &cx.share.limits;
        let after = |start: u64, limit: u64| (limit > 0).then(|| start.saturating_add(limit));
        match self.phase {
            Phase::Connecting => after(self.started_ms, limits.connect_ms),
            Phase::Open => after(self.last_active_ms, limits.idle_ms),
            Phase::Resetting { .. } | Phase::Closing | Phase::Over => None,
        }
    }

    /// The deadline has come.
    pub(super) fn overdue<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        match self.phase {
            Phase::Connecting => {
                cx.share.counters.failed_timeout.add(1);
                self.abort(cx, [true, false]);
            }
            Phase::Open => {
                cx.share.counters.idle_timeout.add(1);
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
