//! The driver on io_uring.
//!
//! The ring defers task work to the worker's own wait, so that a turn of the loop costs
//! one system call. Receives pick their buffer from a ring of buffers when data is
//! there: an idle connection holds none. A [`Try`](SendMode::Try) send is executed while
//! it is submitted and posts a completion only if it failed or fell short, so that the
//! wait in the same call really waits; the driver reports the silent ones itself.
#![expect(unsafe_code, reason = "the kernel reads and writes memory by address")]

mod buffers;
mod operation;
mod reap;
mod streams;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use self::buffers::Buffers;
use self::operation::{Op, pack};
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
}
