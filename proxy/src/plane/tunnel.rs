//! Bulk: bytes that nobody looks at move from socket to socket within the kernel.
//!
//! A connection whose reads are big, again and again, stops receiving into memory:
//! `splice(2)` moves its bytes into a pipe and out of it, a mebibyte at a time. That is a
//! system call more per turn and no copy per byte, which pays for long transfers and not
//! for messages, so a connection begins without and changes over once, for good.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::driver::{CHUNK_BYTES, Driver, Pending, Ready, Side};
use super::protocol::Protocol;
use super::session::{Context, Phase, Session};

/// What a pipe is asked to hold. With 64 KiB, the kernel's default, the same work was
/// seen to cost half as much again.
const PIPE_BYTES: usize = 1024 * 1024;

/// A read that is one of a transfer. Not a full one: a segment of the loopback interface
/// fills three chunks, and the fourth not quite.
const BIG_READ_BYTES: usize = CHUNK_BYTES / 2;

/// Big reads in a row that make a transfer: together about a quarter of a mebibyte.
const BIG_READS: u8 = 16;

/// Turns that one connection may take before others have theirs.
const TURNS: usize = 4;

/// A transfer that has nothing to move steps aside for whoever sends, a few times, before
/// its worker goes to sleep. To be woken costs the sender more than its bytes do, and it
/// comes late; while it moves, so much gathers that each turn is worth its system calls.
/// One time is earned by so many bytes, so that waiting never costs much beside moving: a
/// sender who is slow would have us wait for him each time.
const BYTES_PER_WAIT: usize = 8 * 1024;

/// Times that can be saved up.
const MOST_WAITS: usize = 128;

/// A pipe of the kernel's.
#[derive(Debug)]
struct KernelPipe {
    read: OwnedFd,
    write: OwnedFd,
    capacity: usize,
}

impl KernelPipe {
    fn open() -> Result<Self, Errno> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // What a user's pipes may hold together is limited; a smaller one works as well.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        let capacity = rustix::pipe::fcntl_getpipe_size(&write)?;
        Ok(Self {
            read,
            write,
            capacity,
        })
    }
}

/// What is on its way to one socket within the kernel.
#[derive(Debug, Default)]
pub(super) struct Tunnel {
    pipe: Option<KernelPipe>,
    filled: usize,
    /// How often it may step aside.
    waits: usize,
}

impl Tunnel {
    /// Whether nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Takes what the socket has. `None`: it has nothing now.
    fn fill(&mut self, from: BorrowedFd<'_>) -> Result<Option<usize>, Errno> {
        let Some(pipe) = &self.pipe else {
            return Ok(None);
        };
        let moved = move_bytes(from, pipe.write.as_fd(), pipe.capacity)?;
        let bytes = moved.unwrap_or(0);
        self.filled += bytes;
        self.waits = (self.waits + bytes / BYTES_PER_WAIT).min(MOST_WAITS);
        Ok(moved)
    }

    /// Waits a moment for a socket that has nothing.
    fn linger(&mut self, from: BorrowedFd<'_>) -> Result<Option<usize>, Errno> {
        while self.waits > 0 {
            self.waits -= 1;
            std::thread::yield_now();
            let taken = self.fill(from);
            if taken != Ok(None) {
                return taken;
            }
        }
        Ok(None)
    }

    /// Gives the socket what it takes. `None`: it takes nothing now.
    fn empty(&mut self, to: BorrowedFd<'_>) -> Result<Option<usize>, Errno> {
        let Some(pipe) = &self.pipe else {
            return Ok(None);
        };
        let moved = move_bytes(pipe.read.as_fd(), to, self.filled)?;
        self.filled -= moved.unwrap_or(0);
        Ok(moved)
    }

    /// Drops what is on its way.
    pub(super) fn discard(&mut self) {
        *self = Self::default();
    }
}

fn move_bytes(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    most: usize,
) -> Result<Option<usize>, Errno> {
    loop {
        match splice(
            from,
            None,
            to,
            None,
            most,
            SpliceFlags::NONBLOCK | SpliceFlags::MOVE,
        ) {
            Ok(moved) => return Ok(Some(moved)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Drops what the socket has. `None`: it has nothing now.
fn discard(from: BorrowedFd<'_>) -> Result<Option<usize>, Errno> {
    // TCP copies nothing of what is only to be cut off.
    let mut nowhere = [0; CHUNK_BYTES];
    loop {
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        match rustix::net::recv(from, &mut nowhere[..], flags) {
            Ok((_, dropped)) => return Ok(Some(dropped)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Where a connection is on its way to bulk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Bulk {
    /// It moves messages, or too little is known of it.
    #[default]
    No,
    /// Operations of the other kind have yet to come back.
    Changing,
    /// Bytes move within the kernel.
    Yes,
}

impl<C> Session<C> {
    /// Notes the size of a read, and changes over to bulk when it is time.
    pub(super) fn consider_bulk<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        side: Side,
        len: usize,
    ) {
        let reads = &mut self.sockets[side as usize].big_reads;
        *reads = if len >= BIG_READ_BYTES { *reads + 1 } else { 0 };
        if *reads < BIG_READS || self.bulk != Bulk::No || self.phase != Phase::Open {
            *reads = (*reads).min(BIG_READS);
            return;
        }
        if !cx.protocol.is_opaque(&self.conn) {
            *reads = 0;
            return;
        }
        self.bulk = Bulk::Changing;
    }

    /// Begins with bulk once nothing of the other kind is in flight.
    pub(super) fn begin_bulk<D: Driver, P: Protocol<Conn = C>>(&mut self, cx: &mut Context<D, P>) {
        if self.bulk != Bulk::Changing || self.phase != Phase::Open {
            return;
        }
        if self.pipes.iter().any(|pipe| !pipe.is_drained()) {
            cx.eager |= self.pipes.iter().any(|p| p.in_flight() && !p.is_waiting());
            // Who does not take what we have may be waiting for us to take what he has.
            for side in Side::BOTH {
                if self.pipes[side as usize].is_waiting() {
                    self.receive(cx, side);
                }
            }
            return;
        }
        let mut is_idle = true;
        for side in Side::BOTH {
            is_idle &= self.stop_receiving(cx, side);
        }
        if !is_idle {
            return;
        }
        let (Ok(there), Ok(back)) = (KernelPipe::open(), KernelPipe::open()) else {
            // No descriptors: it works without as well, and may be tried again.
            cx.share.counters.failed_descriptors.add(1);
            self.bulk = Bulk::No;
            for side in Side::BOTH {
                self.sockets[side as usize].big_reads = 0;
                self.receive(cx, side);
            }
            return;
        };
        self.tunnels[0].pipe = Some(back);
        self.tunnels[1].pipe = Some(there);
        for side in Side::BOTH {
            let fd = self.sockets[side as usize].fd.as_ref();
            let nonblocking = fd.map(|fd| rustix::io::ioctl_fionbio(fd, true));
            if !matches!(nonblocking, Some(Ok(()))) {
                return self.broke(cx, side);
            }
        }
        self.bulk = Bulk::Yes;
        cx.share.counters.bulk.add(1);
        for side in Side::BOTH {
            self.pump(cx, side);
        }
    }

    /// Takes what was received of a side, and makes an end of that. Says whether it is
    /// reached.
    fn stop_receiving<D: Driver, P>(&mut self, cx: &mut Context<D, P>, side: Side) -> bool {
        let owner = self.owner(side);
        let socket = &mut self.sockets[side as usize];
        if cx.driver.is_idle(owner) && !socket.receiving {
            return true;
        }
        if !socket.stopping {
            socket.stopping = true;
            if !std::mem::replace(&mut socket.receiving, true) {
                cx.driver.receive(owner, socket.raw(), true);
            }
            cx.driver.cancel(owner, socket.raw(), Pending::Receive);
        }
        false
    }

    /// A socket is ready.
    pub(super) fn ready<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        side: Side,
        what: Ready,
    ) {
        self.sockets[side as usize].polling[what as usize] = false;
        match (self.phase, what) {
            (Phase::Open, Ready::Read) => self.pump(cx, side),
            (Phase::Open | Phase::Resetting { .. }, Ready::Write) => self.pump(cx, side.other()),
            _ => {}
        }
        if self.phase != Phase::Open {
            self.after_the_end(cx);
        }
    }

    /// Moves what there is from one side to the other.
    fn pump<D: Driver, P: Protocol<Conn = C>>(&mut self, cx: &mut Context<D, P>, from: Side) {
        let to = from.other();
        for _ in 0..TURNS {
            if self.tunnels[to as usize].is_empty() && !self.fill(cx, from) {
                return;
            }
            if !self.empty(cx, to) {
                return;
            }
        }
        self.poll(cx, from, Ready::Read, true);
    }

    /// Takes bytes from a side. Says whether there are any.
    fn fill<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        from: Side,
    ) -> bool {
        if self.phase != Phase::Open || self.sockets[from as usize].ended {
            return false;
        }
        let Some(fd) = &self.sockets[from as usize].fd else {
            return false;
        };
        let to = from.other() as usize;
        let taken = if self.pipes[to].is_broken() {
            discard(fd.as_fd())
        } else {
            match self.tunnels[to].fill(fd.as_fd()) {
                Ok(None) if cx.alone => self.tunnels[to].linger(fd.as_fd()),
                taken => taken,
            }
        };
        match taken {
            Ok(None) => self.poll(cx, from, Ready::Read, false),
            Ok(Some(0)) => self.ended(cx, from),
            Ok(Some(moved)) => {
                cx.share.counters.received(from, moved as u64);
                cx.protocol.moved(&mut self.conn, from, moved);
                self.last_active_ms = cx.now_ms;
                return true;
            }
            Err(_) => self.broke(cx, from),
        }
        false
    }

    /// Gives a side what is on its way to it. Says whether it took everything.
    fn empty<D: Driver, P: Protocol<Conn = C>>(
        &mut self,
        cx: &mut Context<D, P>,
        to: Side,
    ) -> bool {
        let Some(fd) = &self.sockets[to as usize].fd else {
            return false;
        };
        while !self.tunnels[to as usize].is_empty() {
            match self.tunnels[to as usize].empty(fd.as_fd()) {
                Ok(None) => {
                    self.poll(cx, to, Ready::Write, false);
                    return false;
                }
                Ok(Some(moved)) => {
                    cx.share.counters.sent(to, moved as u64);
                    self.last_active_ms = cx.now_ms;
                }
                Err(_) => {
                    // It may have said something before it went: that is read first, and
                    // its end tells that it is broken. What comes for it is dropped
                    // meanwhile, or the other side might wait for ever before it reads on.
                    self.tunnels[to as usize].discard();
                    self.pipes[to as usize].break_off();
                    if self.phase == Phase::Open && self.sockets[to as usize].ended {
                        self.broke(cx, to);
                    } else if self.phase == Phase::Open {
                        for side in Side::BOTH {
                            self.poll(cx, side, Ready::Read, true);
                        }
                    }
                    return false;
                }
            }
        }
        if self.phase == Phase::Open {
            self.settle_ends(cx);
        }
        self.phase == Phase::Open
    }

    /// Asks to be told when a socket is ready. `again`: it may be so already.
    fn poll<D: Driver, P>(&mut self, cx: &mut Context<D, P>, side: Side, what: Ready, again: bool) {
        let owner = self.owner(side);
        let socket = &mut self.sockets[side as usize];
        let over = what == Ready::Read && socket.ended;
        if !socket.polling[what as usize] && !over {
            socket.polling[what as usize] = true;
            cx.driver.poll(owner, socket.raw(), what, again);
        }
    }
}
