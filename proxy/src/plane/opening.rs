//! How a connection finds its upstream: what must come first from the client, the queue,
//! dials and their retries.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

use super::driver::{Driver, Side};
use super::protocol::{End, Next, Protocol};
use super::session::{Context, Phase, Session, Stage};

impl<C> Session<C> {
    /// Starts reading what the client sends, and looking for an upstream.
    pub(super) fn start<D: Driver, P: Protocol<Conn = C>>(&mut self, cx: &mut Context<D, P>) {
        match cx.driver.adopt(self.sockets[0].raw()) {
            Ok(()) => {
                self.advance(cx);
                self.receive(cx, Side::Client);
            }
            Err(errno) => self.refuse(cx, Some(errno)),
        }
    }

    /// Goes on looking for an upstream, unless one is being dialled.
    pub(super) fn advance<D: Driver, P: Protocol<Conn = C>>(&mut self, cx: &mut Context<D, P>) {
        let mut failed = self.dial_error;
        while let Phase::Opening(stage) = self.phase {
            if self.connecting {
                return;
            }
            let next = match cx.protocol.next(&mut self.conn, cx.now_ms) {
                Next::Read => Stage::Preface,
                Next::Queue => Stage::Queued,
                Next::Dial(addr) => match self.dial(cx, addr) {
                    Ok(()) => Stage::Dialling,
                    Err(errno) => {
                        failed = Some(errno);
                        self.dial_failed(cx, errno);
                        if matches!(errno, Errno::MFILE | Errno::NFILE) {
                            return self.refuse(cx, failed);
                        }
                        continue;
                    }
                },
                Next::Refuse => return self.refuse(cx, failed),
            };
            if next != stage || next == Stage::Dialling {
                self.phase = Phase::Opening(next);
                self.stage_since_ms = cx.now_ms;
            }
            return;
        }
    }

    fn dial<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        addr: SocketAddr,
    ) -> Result<(), Errno> {
        let family = if addr.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let fd = rustix::net::socket_with(family, SocketType::STREAM, D::SOCKET_FLAGS, None)?;
        sockopt::set_tcp_nodelay(&fd, true)?;
        cx.protocol.prepare(&mut self.conn, fd.as_fd(), addr)?;
        cx.driver.adopt(fd.as_raw_fd())?;
        self.connecting = true;
        cx.driver.connect(self.index, fd.as_raw_fd(), addr);
        self.sockets[1].fd = Some(fd);
        Ok(())
    }

    fn dial_failed<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        errno: Errno,
    ) {
        self.dial_error = Some(errno);
        let nothing = &mut Vec::new();
        cx.protocol
            .dialled(&mut self.conn, Err(errno), nothing, cx.now_ms);
    }

    /// The attempt to connect has ended.
    pub(super) fn connected<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        outcome: Result<(), Errno>,
    ) {
        self.connecting = false;
        if !matches!(self.phase, Phase::Opening(_)) {
            return self.finish_if_quiet(cx);
        }
        match (outcome, &self.sockets[1].fd) {
            (Ok(()), Some(upstream)) => {
                let (upstream, mut first) = (Ok(upstream.as_fd()), Vec::new());
                cx.protocol
                    .dialled(&mut self.conn, upstream, &mut first, cx.now_ms);
                self.pipes[Side::Upstream as usize].put_first(&first);
                self.phase = Phase::Open;
                self.last_active_ms = cx.now_ms;
                self.receive(cx, Side::Upstream);
                self.send_ready(cx, Side::Upstream);
                self.settle_ends(cx);
            }
            (outcome, _) => {
                if let Some(fd) = self.sockets[1].fd.take() {
                    cx.driver.close(self.owner(Side::Upstream), fd);
                }
                // It was taken back because its time was over.
                let errno = match outcome {
                    Err(Errno::CANCELED) | Ok(()) => Errno::TIMEDOUT,
                    Err(errno) => errno,
                };
                self.dial_failed(cx, errno);
                self.advance(cx);
            }
        }
    }

    fn refuse<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        errno: Option<Errno>,
    ) {
        let counters = &cx.share.counters;
        let (counter, why) = match errno {
            Some(Errno::CONNREFUSED) => (&counters.failed_refused, "refused"),
            Some(Errno::TIMEDOUT) => (&counters.failed_timeout, "timed out"),
            Some(Errno::MFILE | Errno::NFILE) => {
                (&counters.failed_descriptors, "out of descriptors")
            }
            Some(Errno::ADDRNOTAVAIL) => (&counters.failed_ports, "out of local ports"),
            Some(_) => (&counters.failed_other, "failed"),
            None => (
                &counters.failed_nowhere,
                "impossible: there is nowhere to go",
            ),
        };
        counter.add(1);
        let errno = errno.map_or(String::new(), |errno| format!(": {errno}"));
        tracing::debug!("connection to the upstream {why}{errno}");
        self.ends_as(End::Refused);
        self.abort(cx, [true, false]);
    }

    /// Something took too long on the way to an upstream.
    pub(super) fn opening_overdue<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        stage: Stage,
    ) {
        match stage {
            Stage::Preface => {
                cx.share.counters.preface_timeout.add(1);
                self.ends_as(End::SlowPreface);
                self.abort(cx, [true, false]);
            }
            Stage::Queued => {
                cx.share.counters.queue_timeout.add(1);
                self.ends_as(End::QueueTimeout);
                self.abort(cx, [true, false]);
            }
            Stage::Dialling => {
                // Asked for once: the completion goes on from there.
                self.stage_since_ms = u64::MAX;
                let fd = self.sockets[Side::Upstream as usize].raw();
                let owner = self.owner(Side::Upstream);
                cx.driver.cancel(owner, fd, super::driver::Pending::Connect);
                cx.eager = true;
            }
        }
    }
}
