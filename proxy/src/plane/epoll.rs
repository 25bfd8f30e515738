//! The driver on epoll, for machines where io_uring is missing or forbidden.
//!
//! Sockets are registered once, edge-triggered. An operation is tried at once if its
//! socket is believed to be ready, and otherwise kept until the kernel says so.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use eventloop::{Events, Interest, Poller, net};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags};

use super::driver::{
    CHUNK_BYTES, CHUNKS, Chunk, Completion, Driver, Owner, Pending, Ready, Received, SendMode,
};

const WAKER: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;

/// A send that waits for room.
#[derive(Clone, Copy)]
struct Send {
    owner: Owner,
    from: *const u8,
    len: usize,
    sent: usize,
}

/// What is known of one socket, and what is asked of it.
#[derive(Default)]
struct Socket {
    readable: bool,
    writable: bool,
    /// The end or an error was announced: there will be no further edge for it.
    ended: bool,
    connect: Option<u32>,
    receive: Option<Owner>,
    send: Option<Send>,
    /// Who wants to know when it is readable, and when it is writable.
    polls: [Option<Owner>; 2],
}

pub(crate) struct Epoll {
    poller: Poller,
    events: Events,
    /// The worker keeps it open for as long as it accepts.
    listener: RawFd,
    listening: bool,
    waker: OwnedFd,
    /// By descriptor number: the kernel keeps those small.
    sockets: Vec<Socket>,
    chunks: Vec<Box<[u8]>>,
    free: Vec<u16>,
    done: Vec<Completion>,
    /// Receives that found every chunk in use; they come first when one is free.
    starved: VecDeque<RawFd>,
    /// A receive or a poll was done at once: without a look at the other sockets, one that always
    /// has data would keep them waiting.
    received_at_once: bool,
}

impl Driver for Epoll {
    const NAME: &'static str = "epoll";

    const SOCKET_FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

    fn open(listener: BorrowedFd<'_>, waker: BorrowedFd<'_>) -> io::Result<Self> {
        let driver = Self {
            poller: Poller::new()?,
            events: Events::new(),
            listener: listener.as_raw_fd(),
            listening: false,
            waker: waker.try_clone_to_owned()?,
            sockets: Vec::new(),
            chunks: Vec::new(),
            free: Vec::new(),
            done: Vec::new(),
            starved: VecDeque::new(),
            received_at_once: false,
        };
        rustix::io::ioctl_fionbio(listener, true)?;
        driver.poller.add(&driver.waker, WAKER, Interest::Edge)?;
        Ok(driver)
    }

    fn accept(&mut self) {
        if !self.listening {
            match self
                .poller
                .add(borrow(self.listener), LISTENER, Interest::Read)
            {
                Ok(()) => self.listening = true,
                Err(error) => {
                    let code = error.raw_os_error().unwrap_or(libc::EINVAL);
                    self.done
                        .push(Completion::Accepted(Err(Errno::from_raw_os_error(code))));
                }
            }
        }
    }

    fn pause_accept(&mut self) {
        if std::mem::take(&mut self.listening) {
            // It is registered; that is all that could go wrong.
            let _ = self.poller.remove(borrow(self.listener));
        }
    }

    fn is_accepting(&self) -> bool {
        self.listening
    }

    fn adopt(&mut self, fd: RawFd) -> Result<(), Errno> {
        let at = usize::try_from(fd).map_err(|_| Errno::BADF)?;
        if self.sockets.len() <= at {
            self.sockets.resize_with(at + 1, Socket::default);
        }
        self.sockets[at] = Socket::default();
        self.poller
            .add(borrow(fd), at as u64, Interest::Edge)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
    }

    fn connect(&mut self, session: u32, fd: RawFd, addr: SocketAddr) {
        match rustix::net::connect(borrow(fd), &addr) {
            Err(Errno::INPROGRESS) => self.socket(fd).connect = Some(session),
            outcome => self.done.push(Completion::Connected(session, outcome)),
        }
    }

    fn receive(&mut self, owner: Owner, fd: RawFd, _expect_data: bool) {
        let socket = self.socket(fd);
        socket.receive = Some(owner);
        if socket.readable {
            self.received_at_once = true;
            if self.starved.is_empty() {
                self.try_receive(fd);
            } else {
                self.starved.push_back(fd);
            }
        }
    }

    fn is_idle(&mut self, _owner: Owner) -> bool {
        true
    }

    fn send(&mut self, owner: Owner, fd: RawFd, from: *const u8, len: usize, mode: SendMode) {
        match mode {
            SendMode::Try => {
                let outcome = send_now(fd, from, len);
                self.done.push(Completion::Sent(owner, outcome));
            }
            SendMode::Wait => {
                self.socket(fd).send = Some(Send {
                    owner,
                    from,
                    len,
                    sent: 0,
                });
                self.try_send(fd);
            }
        }
    }

    fn poll(&mut self, owner: Owner, fd: RawFd, what: Ready, again: bool) {
        let socket = self.socket(fd);
        if !again {
            // The next edge says when there is something again; an end has had its edge.
            match what {
                Ready::Read => socket.readable = socket.ended,
                Ready::Write => socket.writable = false,
            }
        }
        let is_ready = match what {
            Ready::Read => socket.readable,
            Ready::Write => socket.writable,
        };
        if is_ready {
            self.received_at_once = true;
            self.done.push(Completion::Polled(owner, what));
        } else {
            socket.polls[what as usize] = Some(owner);
        }
    }

    fn cancel(&mut self, owner: Owner, fd: RawFd, what: Pending) {
        let socket = self.socket(fd);
        let canceled = match what {
            Pending::Connect => socket
                .connect
                .take()
                .map(|s| Completion::Connected(s, Err(Errno::CANCELED))),
            Pending::Receive => socket
                .receive
                .take()
                .map(|_| Completion::Received(owner, Err(Errno::CANCELED))),
            Pending::Send => socket
                .send
                .take()
                .map(|_| Completion::Sent(owner, Err(Errno::CANCELED))),
            Pending::Poll(what) => socket.polls[what as usize]
                .take()
                .map(|_| Completion::Polled(owner, what)),
        };
        self.done.extend(canceled);
    }

    fn shutdown_write(&mut self, fd: RawFd) {
        // A connection that is gone says so to the next receive.
        let _ = rustix::net::shutdown(borrow(fd), Shutdown::Write);
    }

    fn close(&mut self, _owner: Owner, fd: OwnedFd) {
        *self.socket(fd.as_raw_fd()) = Socket::default();
    }

    fn chunk(&mut self, chunk: &Chunk) -> &mut [u8] {
        &mut self.chunks[usize::from(chunk.0)]
    }

    fn release(&mut self, chunk: Chunk) {
        self.free.push(chunk.0);
    }

    fn wait(&mut self, timeout: Option<Duration>, done: &mut Vec<Completion>) -> io::Result<()> {
        if self.done.is_empty() || std::mem::take(&mut self.received_at_once) {
            for _ in 0..self.starved.len() {
                let Some(fd) = self.starved.pop_front() else {
                    break;
                };
                self.try_receive(fd);
            }
            let timeout = if self.done.is_empty() {
                timeout
            } else {
                Some(Duration::ZERO)
            };
            let mut events = std::mem::take(&mut self.events);
            self.poller.wait(&mut events, timeout)?;
            for (token, readiness) in events.iter() {
                match token {
                    WAKER => self.done.push(Completion::Woken),
                    LISTENER => self.try_accept(),
                    fd => self.ready(fd as RawFd, readiness),
                }
            }
            self.events = events;
        }
        done.append(&mut self.done);
        Ok(())
    }
}

impl Epoll {
    fn socket(&mut self, fd: RawFd) -> &mut Socket {
        &mut self.sockets[usize::try_from(fd).expect("an open descriptor is not negative")]
    }

    fn ready(&mut self, fd: RawFd, readiness: eventloop::Readiness) {
        let socket = self.socket(fd);
        if readiness.readable() {
            socket.readable = true;
            socket.ended |= readiness.ended();
        }
        if readiness.writable() {
            socket.writable = true;
            if let Some(session) = socket.connect.take() {
                let outcome = net::connect_result(borrow(fd))
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::INVAL));
                self.done.push(Completion::Connected(session, outcome));
            } else if socket.send.is_some() {
                self.try_send(fd);
            }
        }
        let socket = self.socket(fd);
        let (readable, writable) = (socket.readable, socket.writable);
        if readable && socket.receive.is_some() {
            self.try_receive(fd);
        }
        for (what, is_ready) in Ready::BOTH.into_iter().zip([readable, writable]) {
            if is_ready && let Some(owner) = self.socket(fd).polls[what as usize].take() {
                self.done.push(Completion::Polled(owner, what));
            }
        }
    }

    fn try_accept(&mut self) {
        match net::accept(borrow(self.listener)) {
            Ok(None) => {}
            Ok(Some(fd)) => self.done.push(Completion::Accepted(Ok(fd))),
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::INVAL);
                self.done.push(Completion::Accepted(Err(errno)));
            }
        }
    }

    fn try_receive(&mut self, fd: RawFd) {
        let Some(owner) = self.socket(fd).receive else {
            return;
        };
        if self.free.is_empty() && self.chunks.len() >= usize::from(CHUNKS) {
            // Chunks come free when the sends of this turn are reported.
            self.received_at_once = true;
            return self.starved.push_back(fd);
        }
        let chunk = self.free.pop().unwrap_or_else(|| {
            self.chunks.push(vec![0; CHUNK_BYTES].into_boxed_slice());
            u16::try_from(self.chunks.len() - 1).expect("one chunk per event and turn is few")
        });
        let buffer = &mut self.chunks[usize::from(chunk)][..];
        let outcome = rustix::net::recv(borrow(fd), buffer, RecvFlags::DONTWAIT);
        let socket = self.socket(fd);
        let received = match outcome {
            Err(Errno::AGAIN | Errno::INTR) => {
                socket.readable = socket.ended;
                self.free.push(chunk);
                return;
            }
            Err(errno) => Err(errno),
            Ok((_, 0)) => Ok(Received::End),
            Ok((_, len)) => {
                // A short read took all there was; the next bytes make a new edge,
                // unless the end is here already.
                socket.readable = socket.ended || len == CHUNK_BYTES;
                let more = socket.readable;
                Ok(Received::Data {
                    chunk: Chunk(chunk),
                    len,
                    more,
                })
            }
        };
        socket.receive = None;
        if !matches!(received, Ok(Received::Data { .. })) {
            self.free.push(chunk);
        }
        self.done.push(Completion::Received(owner, received));
    }

    fn try_send(&mut self, fd: RawFd) {
        let Some(mut send) = self.socket(fd).send else {
            return;
        };
        let outcome = loop {
            match send_now(fd, send.from.wrapping_add(send.sent), send.len - send.sent) {
                Ok(n) => send.sent += n,
                Err(Errno::AGAIN) => {
                    let socket = self.socket(fd);
                    socket.writable = false;
                    socket.send = Some(send);
                    return;
                }
                Err(Errno::INTR) => {}
                Err(errno) => break Err(errno),
            }
            if send.sent == send.len {
                break Ok(send.sent);
            }
        };
        self.socket(fd).send = None;
        self.done.push(Completion::Sent(send.owner, outcome));
    }
}

#[expect(unsafe_code, reason = "the bytes of a send are handed over by address")]
fn send_now(fd: RawFd, from: *const u8, len: usize) -> Result<usize, Errno> {
    // SAFETY: by the contract of `Driver::send` the bytes stay until its completion,
    // which has not been reported yet.
    let bytes = unsafe { std::slice::from_raw_parts(from, len) };
    rustix::net::send(borrow(fd), bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

#[expect(unsafe_code, reason = "operations name their socket by number")]
fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: a session owns the descriptor and closes it only through the driver,
    // when no operation is left.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
