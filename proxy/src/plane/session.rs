//! One connection: a client's socket, the upstream's, and what moves between them.
//!
//! Completions come in, operations go out. How connections end is in [`super::ending`].

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

use super::control::WorkerShare;
use super::driver::{Chunk, Driver, Owner, Received, SendMode, Side};
use super::pipe::{Landed, Pipe};
use super::protocol::{Passed, Protocol};

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
    /// What the protocol writes to; empty between calls.
    pub(super) scratch: Vec<u8>,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The upstream has not answered yet.
    Connecting,
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
    more_expected: bool,
    /// Not read from, because what it brings could not be passed on.
    paused: bool,
}

impl Socket {
    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd)
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
    /// Which of the upstream's addresses is tried.
    attempt: usize,
    pub(super) started_ms: u64,
    pub(super) last_active_ms: u64,
}

impl<C> Session<C> {
    pub(super) fn new(index: u32, client: OwnedFd, conn: C, now_ms: u64) -> Self {
        let client = Socket {
            fd: Some(client),
            ..Socket::default()
        };
        Self {
            index,
            phase: Phase::Connecting,
            sockets: [client, Socket::default()],
            pipes: Default::default(),
            conn,
            connecting: false,
            attempt: 0,
            started_ms: now_ms,
            last_active_ms: now_ms,
        }
    }

    /// Starts connecting, and reading what the client sends meanwhile.
    pub(super) fn start<D: Driver, P: Protocol<Conn = C>>(&mut self, cx: &mut Context<D, P>) {
        let client = self.sockets[0].raw();
        match cx.driver.adopt(client).and_then(|()| self.connect(cx)) {
            Ok(()) => self.receive(cx, Side::Client),
            Err(errno) => self.connect_failed(cx, errno),
        }
    }

    fn connect<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
    ) -> Result<(), Errno> {
        let addr = *cx
            .share
            .upstream
            .get(self.attempt)
            .ok_or(Errno::DESTADDRREQ)?;
        let family = if addr.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let fd = rustix::net::socket_with(family, SocketType::STREAM, D::SOCKET_FLAGS, None)?;
        sockopt::set_tcp_nodelay(&fd, true)?;
        cx.driver.adopt(fd.as_raw_fd())?;
        self.connect_to(cx, fd, addr);
        Ok(())
    }

    fn connect_to<D: Driver, P>(&mut self, cx: &mut Context<D, P>, fd: OwnedFd, addr: SocketAddr) {
        self.connecting = true;
        cx.driver.connect(self.index, fd.as_raw_fd(), addr);
        self.sockets[1].fd = Some(fd);
    }

    /// The attempt to connect has ended.
    pub(super) fn connected<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        outcome: Result<(), Errno>,
    ) {
        self.connecting = false;
        if self.phase != Phase::Connecting {
            return self.finish_if_quiet(cx);
        }
        match outcome {
            Ok(()) => {
                self.phase = Phase::Open;
                self.last_active_ms = cx.now_ms;
                self.receive(cx, Side::Upstream);
                self.send_ready(cx, Side::Upstream);
                self.settle_ends(cx);
            }
            Err(errno) => {
                if let Some(fd) = self.sockets[1].fd.take() {
                    cx.driver.close(fd);
                }
                self.attempt += 1;
                let another = self.attempt < cx.share.upstream.len();
                if !another || self.connect(cx).is_err() {
                    self.connect_failed(cx, errno);
                }
            }
        }
    }

    fn connect_failed<D: Driver, P>(&mut self, cx: &mut Context<D, P>, errno: Errno) {
        let counters = &cx.share.counters;
        let (counter, why) = match errno {
            Errno::CONNREFUSED => (&counters.failed_refused, "refused"),
            Errno::TIMEDOUT => (&counters.failed_timeout, "timed out"),
            Errno::MFILE | Errno::NFILE => (&counters.failed_descriptors, "out of descriptors"),
            _ => (&counters.failed_other, "failed"),
        };
        counter.add(1);
        tracing::debug!("connection to the upstream {why}: {errno}");
        self.abort(cx, [true, false]);
    }

    /// A receive has ended.
    pub(super) fn received<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        side: Side,
        outcome: Result<Received, Errno>,
    ) {
        self.sockets[side as usize].receiving = false;
        let live = matches!(self.phase, Phase::Connecting | Phase::Open);
        match outcome {
            Ok(Received::Data { chunk, .. }) if !live => cx.driver.release(chunk),
            _ if !live => {}
            Ok(Received::Data { chunk, len, more }) => {
                self.last_active_ms = cx.now_ms;
                self.sockets[side as usize].more_expected = more;
                self.take(cx, side, chunk, len);
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
            Err(Errno::CANCELED) => {}
            Err(_) => return self.broke(cx, side),
        }
        self.after_the_end(cx);
    }

    /// Judges what was received and passes it on.
    fn take<D: Driver, P: Protocol<Conn = C>>(
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
                .client_data(&mut self.conn, data, 0, &mut cx.scratch);
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
                .client_data(&mut self.conn, data, held, &mut cx.scratch);
            reset = out.reset;
            pipe.settle(out.forward, out.end);
            cx.driver.release(chunk);
            self.send_ready(cx, Side::Upstream);
        }
        self.answer(cx);
        if reset {
            cx.share.counters.reset_by_mode.add(1);
            self.give_up(cx, Side::Client);
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
            .upstream_data(&mut self.conn, data, &mut cx.scratch);
        if passed == Passed::Unchanged && pipe.is_idle() {
            return self.fly(cx, Side::Client, chunk, len);
        }
        match passed {
            Passed::Unchanged => pipe.push(data),
            Passed::Rewritten => pipe.push(&cx.scratch),
        }
        cx.scratch.clear();
        cx.driver.release(chunk);
        self.send_ready(cx, Side::Client);
    }

    /// Sends what the protocol answered itself.
    pub(super) fn answer<D: Driver, P>(&mut self, cx: &mut Context<D, P>) {
        if !cx.scratch.is_empty() {
            self.pipes[Side::Client as usize].push(&cx.scratch);
            cx.scratch.clear();
            self.send_ready(cx, Side::Client);
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
        if to == Side::Upstream && self.phase == Phase::Connecting {
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
        if !matches!(self.phase, Phase::Connecting | Phase::Open) {
            self.send_ready(cx, to);
            return self.after_the_end(cx);
        }
        if sent > 0 {
            self.last_active_ms = cx.now_ms;
        }
        if self.pipes[to as usize].is_broken() && self.sockets[to as usize].ended {
            return self.broke(cx, to);
        }
        self.send_ready(cx, to);
        self.settle_ends(cx);
        if matches!(self.phase, Phase::Connecting | Phase::Open) {
            self.receive(cx, to.other());
            self.receive(cx, Side::Client);
        }
    }

    /// Receives from a side, if that is possible and what it brings can be passed on.
    fn receive<D: Driver, P: Protocol<Conn = C>>(&mut self, cx: &mut Context<D, P>, from: Side) {
        let socket = &self.sockets[from as usize];
        let live = matches!(self.phase, Phase::Connecting | Phase::Open);
        if !live || socket.receiving || socket.ended || socket.fd.is_none() {
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
        if !target.is_broken() {
            let socket = &self.sockets[from as usize];
            cx.driver
                .receive(self.owner(from), socket.raw(), socket.more_expected);
            self.sockets[from as usize].receiving = true;
        }
    }

    pub(super) fn owner(&self, side: Side) -> Owner {
        Owner {
            session: self.index,
            side,
        }
    }
}
