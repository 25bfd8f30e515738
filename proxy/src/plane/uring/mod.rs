//! The driver on io_uring.
//!
//! The ring defers task work to the worker's own wait, so that a turn of the loop costs
//! one system call. Receives pick their buffer from a ring of buffers when data is
//! there: an idle connection holds none. A [`Try`](SendMode::Try) send is executed while
//! it is submitted and posts a completion only if it failed or fell short, so that the
//! wait in the same call really waits; the driver reports the silent ones itself.
#![expect(unsafe_code, reason = "the kernel reads and writes memory by address")]

mod buffers;
mod streams;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use self::buffers::Buffers;
use self::streams::{Order, Streams};
use super::driver::{
    CHUNK_BYTES, Chunk, Completion, Driver, Owner, Pending, Ready, Received, SendMode, Side,
};

/// Operations that can be prepared before they are handed to the kernel. A turn that
/// prepares more hands them over in parts.
const SUBMISSIONS: u32 = 1024;

/// Room for completions; the kernel keeps more for us if it must.
const COMPLETIONS: u32 = 8192;

/// The one group of receive buffers.
const BUFFER_GROUP: u16 = 0;

/// Tells the kernel to wait for data before it tries to receive
/// (`IORING_RECVSEND_POLL_FIRST`).
const POLL_FIRST: u16 = 1;

/// Lets a receive stay until it is taken back (`IORING_RECV_MULTISHOT`).
const MULTISHOT: u16 = 2;

/// Kinds of operations, as they are packed into a completion's user data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Accept,
    Wake,
    Connect,
    Receive,
    SendTry,
    SendWait,
    PollRead,
    PollWrite,
    Silent,
}

impl Op {
    const ALL: [Self; 9] = [
        Self::Accept,
        Self::Wake,
        Self::Connect,
        Self::Receive,
        Self::SendTry,
        Self::SendWait,
        Self::PollRead,
        Self::PollWrite,
        Self::Silent,
    ];
}

/// An operation and whose it is in 64 bits: 7 for the operation, 1 for the side, 24 for the
/// generation of the socket where that matters, 32 for the session.
fn pack(op: Op, owner: Owner, generation: u32) -> u64 {
    u64::from(owner.session) << 32
        | u64::from(generation) << 8
        | (owner.side as u64) << 7
        | op as u64
}

fn unpack(user_data: u64) -> (Op, Owner, u32) {
    let op = Op::ALL[(user_data & 0x7f) as usize % Op::ALL.len()];
    let owner = Owner {
        session: (user_data >> 32) as u32,
        side: Side::BOTH[(user_data >> 7 & 1) as usize],
    };
    (op, owner, (user_data >> 8) as u32 & 0xff_ffff)
}

/// For operations that belong to no session.
const NOBODY: Owner = Owner {
    session: 0,
    side: Side::Client,
};

pub(crate) struct Uring {
    ring: IoUring,
    buffers: Buffers,
    streams: Streams,
    /// What came before it was asked for, and is to be reported now.
    kept: Vec<Completion>,
    listener: RawFd,
    accepting: bool,
    waker: RawFd,
    /// The address of each connect that was prepared and not yet handed to the kernel.
    #[expect(clippy::vec_box, reason = "the kernel is given their places")]
    addresses: Vec<Box<rustix::net::SocketAddrAny>>,
    /// The try sends of this turn with their lengths, in order.
    tried: Vec<(Owner, usize)>,
    /// Those of them that said something.
    tried_and_failed: Vec<(Owner, i32)>,
    /// Receives that found every buffer in use, in this turn.
    refused: Vec<Owner>,
    /// There were some in the last turn: whoever is always ready must queue like others.
    scarce: bool,
}

impl Driver for Uring {
    const NAME: &'static str = "io_uring";

    /// Blocking: on a non-blocking socket the ring's operations answer "try again"
    /// instead of waiting.
    const SOCKET_FLAGS: SocketFlags = SocketFlags::CLOEXEC;

    fn open(listener: BorrowedFd<'_>, waker: BorrowedFd<'_>) -> io::Result<Self> {
        let ring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        if !ring.params().is_feature_skip_cqe_on_success() || !ring.params().is_feature_ext_arg() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // Without it every call looks the ring's descriptor up; that is all.
        let _ = ring.submitter().register_ring_fd();
        let buffers = Buffers::register(&ring)?;
        rustix::io::ioctl_fionbio(listener, false)?;
        let mut driver = Self {
            ring,
            buffers,
            streams: Streams::default(),
            kept: Vec::new(),
            listener: listener.as_raw_fd(),
            accepting: false,
            waker: waker.as_raw_fd(),
            addresses: Vec::new(),
            tried: Vec::new(),
            tried_and_failed: Vec::new(),
            refused: Vec::new(),
            scarce: false,
        };
        driver.watch_waker();
        Ok(driver)
    }

    fn accept(&mut self) {
        if !std::mem::replace(&mut self.accepting, true) {
            let accept = opcode::Accept::new(
                Fd(self.listener),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
            .flags(libc::SOCK_CLOEXEC);
            self.push(&accept.build().user_data(pack(Op::Accept, NOBODY, 0)));
        }
    }

    fn pause_accept(&mut self) {
        if self.accepting {
            let cancel = opcode::AsyncCancel::new(pack(Op::Accept, NOBODY, 0)).build();
            self.push_silent(cancel);
        }
    }

    fn is_accepting(&self) -> bool {
        self.accepting
    }

    fn adopt(&mut self, _fd: RawFd) -> Result<(), Errno> {
        Ok(())
    }

    fn connect(&mut self, session: u32, fd: RawFd, addr: SocketAddr) {
        let storage = Box::new(rustix::net::SocketAddrAny::from(addr));
        let connect = opcode::Connect::new(Fd(fd), storage.as_ptr().cast(), storage.addr_len());
        self.addresses.push(storage);
        let owner = Owner {
            session,
            side: Side::Upstream,
        };
        self.push(&connect.build().user_data(pack(Op::Connect, owner, 0)));
    }

    fn receive(&mut self, owner: Owner, fd: RawFd, expect_data: bool) {
        let order = self.streams.want(owner, fd);
        self.obey(owner, expect_data, order);
    }

    fn is_idle(&mut self, owner: Owner) -> bool {
        self.streams.is_idle(owner)
    }

    fn send(&mut self, owner: Owner, fd: RawFd, from: *const u8, len: usize, mode: SendMode) {
        let send = opcode::Send::new(Fd(fd), from, len as u32);
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let entry = match mode {
            SendMode::Wait => send
                .flags(flags)
                .build()
                .user_data(pack(Op::SendWait, owner, 0)),
            SendMode::Try => {
                self.tried.push((owner, len));
                send.flags(flags | libc::MSG_DONTWAIT)
                    .build()
                    .flags(Flags::SKIP_SUCCESS)
                    .user_data(pack(Op::SendTry, owner, 0))
            }
        };
        self.push(&entry);
    }

    fn poll(&mut self, owner: Owner, fd: RawFd, what: Ready, _again: bool) {
        let (op, flags) = match what {
            Ready::Read => (Op::PollRead, libc::POLLIN | libc::POLLRDHUP),
            Ready::Write => (Op::PollWrite, libc::POLLOUT),
        };
        let poll = opcode::PollAdd::new(Fd(fd), flags as u32).build();
        self.push(&poll.user_data(pack(op, owner, 0)));
    }

    fn cancel(&mut self, owner: Owner, _fd: RawFd, what: Pending) {
        let op = match what {
            Pending::Receive => {
                let order = self.streams.unwant(owner);
                return self.obey(owner, false, order);
            }
            Pending::Connect => Op::Connect,
            Pending::Send => Op::SendWait,
            Pending::Poll(Ready::Read) => Op::PollRead,
            Pending::Poll(Ready::Write) => Op::PollWrite,
        };
        self.push_silent(opcode::AsyncCancel::new(pack(op, owner, 0)).build());
    }

    fn shutdown_write(&mut self, fd: RawFd) {
        // The ring would hand a shutdown to a thread of its own, which costs far more
        // than the call. A connection that is gone says so to the next receive.
        // SAFETY: the session owns the descriptor for the length of the call.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Write);
    }

    fn close(&mut self, owner: Owner, fd: OwnedFd) {
        let (order, kept) = self.streams.close(owner);
        for read in kept {
            if let Ok(Received::Data { chunk, .. }) = read {
                self.release(chunk);
            }
        }
        self.obey(owner, false, order);
        self.push_silent(opcode::Close::new(Fd(fd.into_raw_fd())).build());
    }

    fn chunk(&mut self, chunk: &Chunk) -> &mut [u8] {
        self.buffers.bytes(chunk.0)
    }

    fn release(&mut self, chunk: Chunk) {
        self.buffers.give_back(chunk.0);
    }

    fn wait(&mut self, timeout: Option<Duration>, done: &mut Vec<Completion>) -> io::Result<()> {
        let timeout = if self.kept.is_empty() {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        let outcome = match timeout {
            None => self.ring.submitter().submit_and_wait(1),
            Some(timeout) => {
                let timeout = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timeout);
                self.ring.submitter().submit_with_args(1, &args)
            }
        };
        if let Err(error) = outcome {
            // Time is up, a signal came, or completions must be taken before more can
            // be submitted: all of them are turns like any other.
            let expected = [libc::ETIME, libc::EINTR, libc::EBUSY, libc::EAGAIN];
            if !error
                .raw_os_error()
                .is_some_and(|code| expected.contains(&code))
            {
                return Err(error);
            }
        }
        let all_submitted = self.ring.submission().is_empty();
        if all_submitted {
            self.addresses.clear();
        }
        self.reap(done, all_submitted);
        Ok(())
    }
}

impl Uring {
    fn push(&mut self, entry: &Entry) {
        loop {
            // SAFETY: what the entry points to outlives the operation: chunks live as
            // long as the ring, addresses until they are submitted, and a session keeps
            // the bytes of a send until its completion.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return;
            }
            // The queue is full. Handing it over can only fail for lack of room for
            // completions, which the kernel makes by itself.
            let _ = self.ring.submit();
        }
    }

    fn obey(&mut self, owner: Owner, expect_data: bool, order: Order) {
        match order {
            Order::Nothing => {}
            Order::Report(read) => self.kept.push(Completion::Received(owner, read)),
            Order::TakeBack { generation } => {
                let receive = pack(Op::Receive, owner, generation);
                self.push_silent(opcode::AsyncCancel::new(receive).build());
            }
            Order::Arm { fd, staying } => {
                let first = if expect_data && !self.scarce {
                    0
                } else {
                    POLL_FIRST
                };
                let (stay, len) = if staying {
                    (MULTISHOT, 0)
                } else {
                    (0, CHUNK_BYTES as u32)
                };
                let receive = opcode::Recv::new(Fd(fd), std::ptr::null_mut(), len)
                    .buf_group(BUFFER_GROUP)
                    .ioprio(first | stay);
                let entry = receive.build().flags(Flags::BUFFER_SELECT);
                let generation = self.streams.generation(owner);
                self.push(&entry.user_data(pack(Op::Receive, owner, generation)));
            }
        }
    }

    /// A receive has brought something.
    fn received(
        &mut self,
        owner: Owner,
        generation: u32,
        entry: &cqueue::Entry,
    ) -> Option<Completion> {
        let buffer = cqueue::buffer_select(entry.flags()).map(Chunk);
        let read = match (entry.result(), buffer) {
            (len @ 1.., Some(chunk)) if self.streams.is_current(owner, generation) => {
                let more = cqueue::sock_nonempty(entry.flags());
                let len = len as usize;
                let chunk = if self.streams.is_wanted(owner) {
                    chunk
                } else {
                    Chunk(self.buffers.park(chunk.0, len))
                };
                Ok(Received::Data { chunk, len, more })
            }
            (code, buffer) => {
                // A buffer may have been picked before the end was seen, or for a socket
                // that is closed.
                if let Some(Chunk(buffer)) = buffer {
                    self.buffers.give_back(buffer);
                }
                if !self.streams.is_current(owner, generation) {
                    return None;
                }
                match code {
                    code if code < 0 => Err(Errno::from_raw_os_error(-code)),
                    _ => Ok(Received::End),
                }
            }
        };
        let more = cqueue::more(entry.flags());
        match self.streams.landed(owner, read, more) {
            Order::Report(Err(Errno::NOBUFS)) => {
                self.refused.push(owner);
                None
            }
            Order::Report(read) => Some(Completion::Received(owner, read)),
            order => {
                self.obey(owner, false, order);
                None
            }
        }
    }

    /// Asks for a completion whenever the waker is written to.
    fn watch_waker(&mut self) {
        let poll = opcode::PollAdd::new(Fd(self.waker), libc::POLLIN as u32).multi(true);
        self.push(&poll.build().user_data(pack(Op::Wake, NOBODY, 0)));
    }

    /// Pushes an operation whose outcome nobody waits for.
    fn push_silent(&mut self, entry: Entry) {
        self.push(
            &entry
                .flags(Flags::SKIP_SUCCESS)
                .user_data(pack(Op::Silent, NOBODY, 0)),
        );
    }

    /// Appends what is done: first the try sends, which free buffers, then the receives
    /// that found none, so that they are first in line for those.
    fn reap(&mut self, done: &mut Vec<Completion>, all_submitted: bool) {
        let first = done.len();
        done.append(&mut self.kept);
        self.drain_queue(done);
        while self.ring.submission().cq_overflow() {
            // What did not fit waits in the kernel. It may hold the failure of a try.
            let _ = self.ring.submit();
            self.drain_queue(done);
        }
        self.scarce = !self.refused.is_empty();
        let refused = self.refused.drain(..);
        let refused = refused.map(|owner| Completion::Received(owner, Err(Errno::NOBUFS)));
        done.splice(first..first, refused);
        if all_submitted && !self.tried.is_empty() {
            let failed = std::mem::take(&mut self.tried_and_failed);
            let tries = self.tried.drain(..).map(|(owner, len)| {
                let said = failed.iter().find(|(other, _)| *other == owner);
                let outcome = match said {
                    None => Ok(len),
                    Some((_, code)) if *code < 0 => Err(Errno::from_raw_os_error(-code)),
                    Some((_, sent)) => Ok(*sent as usize),
                };
                Completion::Sent(owner, outcome)
            });
            done.splice(first..first, tries);
        }
    }

    fn drain_queue(&mut self, done: &mut Vec<Completion>) {
        let mut watching = true;
        self.ring.completion().sync();
        loop {
            let Some(entry) = self.ring.completion().next() else {
                break;
            };
            let (op, owner, generation) = unpack(entry.user_data());
            let outcome = match entry.result() {
                code if code < 0 => Err(Errno::from_raw_os_error(-code)),
                value => Ok(value as usize),
            };
            match op {
                Op::SendTry => self.tried_and_failed.push((owner, entry.result())),
                Op::SendWait => done.push(Completion::Sent(owner, outcome)),
                Op::PollRead => done.push(Completion::Polled(owner, Ready::Read)),
                Op::PollWrite => done.push(Completion::Polled(owner, Ready::Write)),
                Op::Receive => done.extend(self.received(owner, generation, &entry)),
                Op::Connect => done.push(Completion::Connected(owner.session, outcome.map(drop))),
                Op::Accept => {
                    self.accepting = false;
                    // SAFETY: the kernel has just made this descriptor for us.
                    let fd = outcome.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
                    done.push(Completion::Accepted(fd));
                }
                Op::Wake => {
                    watching = cqueue::more(entry.flags());
                    done.push(Completion::Woken);
                }
                Op::Silent => {}
            }
        }
        if !watching {
            self.watch_waker();
        }
    }
}
