//! How bytes pass through a session: what one side brought is judged and leaves for the
//! other, at once where it lies, or behind what still waits.

use rustix::io::Errno;

use super::driver::{Chunk, Driver, SendMode, Side};
use super::pipe::Landed;
use super::protocol::{End, Passed, Protocol};
use super::session::{Context, Phase, Session, Stage};

impl<C> Session<C> {
    /// Judges what was received and passes it on.
    pub(super) fn take<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        side: Side,
        chunk: Chunk,
        len: usize,
    ) {
        cx.share.counters.received(side, len as u64);
        let target = side.other();
        if self.pipes[target as usize].is_broken() {
            return cx.driver.release(chunk);
        }
        match side {
            Side::Client => self.take_from_client(cx, chunk, len),
            Side::Upstream => self.take_from_upstream(cx, chunk, len),
        }
    }

    fn take_from_client<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        chunk: Chunk,
        len: usize,
    ) {
        let pipe = &mut self.pipes[Side::Upstream as usize];
        let data = &mut cx.driver.chunk(&chunk)[..len];
        let reset;
        if self.phase == Phase::Open && pipe.is_idle() {
            let out = cx
                .protocol
                .client_data(&mut self.conn, data, 0, &mut cx.output);
            reset = out.reset;
            if out.end > out.forward {
                pipe.hold(&data[out.forward..out.end]);
            }
            if out.forward > 0 {
                self.fly(cx, Side::Upstream, chunk, out.forward);
            } else {
                cx.driver.release(chunk);
            }
        } else {
            let (data, held) = pipe.append(data);
            let out = cx
                .protocol
                .client_data(&mut self.conn, data, held, &mut cx.output);
            reset = out.reset;
            pipe.settle(out.forward, out.end);
            cx.driver.release(chunk);
            self.send_ready(cx, Side::Upstream);
        }
        self.put_out(cx);
        if reset {
            cx.share.counters.reset_by_mode.add(1);
            self.ends_as(End::ByMode);
            return self.give_up(cx, Side::Client);
        }
        if matches!(self.phase, Phase::Opening(Stage::Preface)) {
            self.advance(cx);
        }
        if cx.protocol.has_ended(&self.conn) && !self.sockets[0].ended && self.is_live() {
            self.ended(cx, Side::Client);
        }
    }

    fn take_from_upstream<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        chunk: Chunk,
        len: usize,
    ) {
        let pipe = &mut self.pipes[Side::Client as usize];
        let data = &cx.driver.chunk(&chunk)[..len];
        let passed = cx
            .protocol
            .upstream_data(&mut self.conn, data, &mut cx.output.to_client);
        if passed == Passed::Unchanged && pipe.is_idle() {
            return self.fly(cx, Side::Client, chunk, len);
        }
        match passed {
            Passed::Unchanged => pipe.push(data),
            Passed::Rewritten => pipe.push(&cx.output.to_client),
        }
        cx.output.to_client.clear();
        cx.driver.release(chunk);
        self.send_ready(cx, Side::Client);
    }

    /// Sends what the protocol wrote itself.
    pub(super) fn put_out<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        let output = &mut cx.output;
        let both = [
            (Side::Client, &mut output.to_client),
            (Side::Upstream, &mut output.to_upstream),
        ];
        let mut written = [false; 2];
        for (side, bytes) in both {
            if !bytes.is_empty() {
                self.pipes[side as usize].push(bytes);
                bytes.clear();
                written[side as usize] = true;
            }
        }
        for side in Side::BOTH {
            if written[side as usize] {
                self.send_ready(cx, side);
            }
        }
    }

    fn fly<D: Driver, P>(&mut self, cx: &mut Context<D, P>, to: Side, chunk: Chunk, len: usize) {
        let from = cx.driver.chunk(&chunk).as_ptr();
        cx.driver.send(
            self.owner(to),
            self.sockets[to as usize].raw(),
            from,
            len,
            SendMode::Try,
        );
        self.pipes[to as usize].fly(chunk, len);
    }

    /// Sends what is ready for a side, unless a send is in flight: then its end will.
    pub(super) fn send_ready<D: Driver, P>(&mut self, cx: &mut Context<D, P>, to: Side) {
        if to == Side::Upstream && matches!(self.phase, Phase::Opening(_)) {
            return;
        }
        let pipe = &mut self.pipes[to as usize];
        if pipe.take_off() {
            self.send_rest(cx, to);
        } else if pipe.in_flight() && !pipe.is_waiting() {
            cx.eager = true;
        }
    }

    fn send_rest<D: Driver, P>(&mut self, cx: &mut Context<D, P>, to: Side) {
        let rest = self.pipes[to as usize].rest();
        let fd = self.sockets[to as usize].raw();
        cx.driver.send(
            self.owner(to),
            fd,
            rest.as_ptr(),
            rest.len(),
            SendMode::Wait,
        );
    }

    /// A send has ended.
    pub(super) fn sent<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        to: Side,
        outcome: Result<usize, Errno>,
    ) {
        let sent = match outcome {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            // Why it broke, the next receive from that side will tell.
            Err(_) => {
                self.pipes[to as usize].break_off();
                0
            }
        };
        cx.share.counters.sent(to, sent as u64);
        match self.pipes[to as usize].landed(sent) {
            Landed::Whole => {}
            Landed::Chunk(chunk) => cx.driver.release(chunk),
            Landed::ShortChunk { chunk, rest } => {
                self.pipes[to as usize].keep(&cx.driver.chunk(&chunk)[rest]);
                cx.driver.release(chunk);
                self.send_rest(cx, to);
            }
            Landed::ShortHeap if self.phase == Phase::Closing => {
                self.pipes[to as usize].break_off();
                let _ = self.pipes[to as usize].landed(0);
            }
            Landed::ShortHeap => self.send_rest(cx, to),
        }
        if !self.is_live() {
            self.send_ready(cx, to);
            return self.after_the_end(cx);
        }
        if sent > 0 {
            self.last_active_ms = cx.now_ms;
        }
        let silent = self.sockets[to as usize].ended || self.pipes[to.other() as usize].is_broken();
        if self.pipes[to as usize].is_broken() && silent {
            return self.broke(cx, to);
        }
        self.send_ready(cx, to);
        self.settle_ends(cx);
        if self.is_live() {
            self.receive(cx, to.other());
            self.receive(cx, Side::Client);
        }
    }
}
