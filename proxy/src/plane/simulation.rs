//! Sessions against a simulated kernel: whatever order operations complete in, however
//! little a socket takes, bytes arrive once and in order, and nothing is left behind.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use protocol::foo::{Grammar, MAX_LINE_BYTES};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::control::WorkerShare;
use super::driver::{
    CHUNK_BYTES, Chunk, Completion, Driver, Owner, Pending, Ready, Received, SendMode, Side,
};
use super::protocol::Protocol;
use super::session::{Context, Phase, Session};
use crate::foo::testing::{OnMalformed, shield};

/// An operation that the simulated kernel has yet to complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Connect,
    Receive(Side),
    Send(Side, *const u8, usize),
}

/// A kernel whose peers are byte strings.
#[derive(Default)]
struct Kernel {
    pending: Vec<Op>,
    done: Vec<Completion>,
    /// What each peer has yet to say, and what it was told.
    input: [Vec<u8>; 2],
    output: [Vec<u8>; 2],
    /// The upstream answers each line that it is told.
    answers: bool,
    answered: usize,
    ended: [bool; 2],
    fds: [RawFd; 2],
    closed: usize,
    chunks: Vec<Option<Box<[u8]>>>,
    choices: Vec<u8>,
}

impl Kernel {
    fn choice(&mut self) -> usize {
        self.choices.pop().unwrap_or(255).into()
    }

    fn tell(&mut self, side: Side, from: *const u8, len: usize) {
        // SAFETY: the rule of `Driver::send` under test: the bytes stay until completion.
        #[expect(unsafe_code, reason = "a driver is given bytes by address")]
        let bytes = unsafe { std::slice::from_raw_parts(from, len) };
        assert!(!self.ended[side as usize], "nothing follows an end");
        self.output[side as usize].extend_from_slice(bytes);
        if self.answers && side == Side::Upstream {
            let lines = self.output[1].iter().filter(|&&byte| byte == b'\n').count();
            for number in self.answered..lines {
                self.input[1].extend_from_slice(format!("ACK {number}\n").as_bytes());
            }
            self.answered = lines;
        }
    }

    /// What a receive would bring now, if it would not wait.
    fn arrival(&mut self, side: Side) -> Option<Received> {
        let len = (self.choice() % 40 + 1).min(self.input[side as usize].len());
        if len == 0 {
            let will_say_more = side == Side::Upstream && self.answers && !self.ended[1];
            return (!will_say_more).then_some(Received::End);
        }
        let mut buffer = vec![0; CHUNK_BYTES].into_boxed_slice();
        for (slot, byte) in buffer
            .iter_mut()
            .zip(self.input[side as usize].drain(..len))
        {
            *slot = byte;
        }
        self.chunks.push(Some(buffer));
        let chunk = Chunk(u16::try_from(self.chunks.len() - 1).expect("short runs"));
        Some(Received::Data {
            chunk,
            len,
            more: false,
        })
    }

    /// Completes one operation; `false` if none can be.
    fn step(&mut self) -> bool {
        let start = self.choice();
        for offset in 0..self.pending.len() {
            let at = (start + offset) % self.pending.len();
            let completion = match self.pending[at] {
                Op::Connect => Completion::Connected(0, Ok(())),
                Op::Receive(side) => match self.arrival(side) {
                    None => continue,
                    Some(received) => {
                        Completion::Received(Owner { session: 0, side }, Ok(received))
                    }
                },
                Op::Send(side, from, len) => {
                    self.tell(side, from, len);
                    Completion::Sent(Owner { session: 0, side }, Ok(len))
                }
            };
            self.pending.remove(at);
            self.done.push(completion);
            return true;
        }
        false
    }
}

impl Driver for Kernel {
    const NAME: &'static str = "simulation";
    const SOCKET_FLAGS: SocketFlags = SocketFlags::CLOEXEC;

    fn open(_listener: BorrowedFd<'_>, _waker: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self::default())
    }

    fn accept(&mut self) {}

    fn pause_accept(&mut self) {}

    fn is_accepting(&self) -> bool {
        false
    }

    fn adopt(&mut self, fd: RawFd) -> Result<(), Errno> {
        let side = usize::from(self.fds[0] != 0);
        self.fds[side] = fd;
        Ok(())
    }

    fn connect(&mut self, _session: u32, _fd: RawFd, _addr: SocketAddr) {
        self.pending.push(Op::Connect);
    }

    fn receive(&mut self, owner: Owner, _fd: RawFd, _expect_data: bool) {
        assert!(
            !self.pending.contains(&Op::Receive(owner.side)),
            "one receive at a time"
        );
        self.pending.push(Op::Receive(owner.side));
    }

    fn is_idle(&mut self, _owner: Owner) -> bool {
        true
    }

    fn send(&mut self, owner: Owner, _fd: RawFd, from: *const u8, len: usize, mode: SendMode) {
        if mode == SendMode::Wait {
            return self.pending.push(Op::Send(owner.side, from, len));
        }
        let outcome = match self.choice() {
            0..=60 => Err(Errno::AGAIN),
            choice @ 61..=120 => Ok(choice % len.max(1)),
            _ => Ok(len),
        };
        self.tell(owner.side, from, outcome.unwrap_or(0));
        self.done.push(Completion::Sent(owner, outcome));
    }

    fn poll(&mut self, _owner: Owner, _fd: RawFd, _what: Ready, _again: bool) {
        unreachable!("nothing here moves within the kernel");
    }

    fn cancel(&mut self, owner: Owner, _fd: RawFd, what: Pending) {
        let matches = |op: &Op| match (op, what) {
            (Op::Connect, Pending::Connect) => true,
            (Op::Receive(side), Pending::Receive) | (Op::Send(side, ..), Pending::Send) => {
                *side == owner.side
            }
            _ => false,
        };
        let Some(at) = self.pending.iter().position(matches) else {
            return;
        };
        self.done.push(match self.pending.remove(at) {
            Op::Connect => Completion::Connected(0, Err(Errno::CANCELED)),
            Op::Receive(_) => Completion::Received(owner, Err(Errno::CANCELED)),
            Op::Send(..) => Completion::Sent(owner, Err(Errno::CANCELED)),
        });
    }

    fn shutdown_write(&mut self, fd: RawFd) {
        let side = usize::from(fd == self.fds[1]);
        assert!(!self.ended[side], "an end is sent once");
        self.ended[side] = true;
    }

    fn close(&mut self, _owner: Owner, _fd: OwnedFd) {
        self.closed += 1;
    }

    fn chunk(&mut self, chunk: &Chunk) -> &mut [u8] {
        self.chunks[usize::from(chunk.0)]
            .as_mut()
            .expect("a chunk in use")
    }

    fn release(&mut self, chunk: Chunk) {
        self.chunks[usize::from(chunk.0)]
            .take()
            .expect("a chunk is released once");
    }

    fn wait(&mut self, _timeout: Option<Duration>, done: &mut Vec<Completion>) -> io::Result<()> {
        if self.done.is_empty() {
            self.step();
        }
        done.append(&mut self.done);
        Ok(())
    }
}

/// Runs one session to its end and returns the kernel as it then is.
fn run(kernel: Kernel, on_malformed: OnMalformed) -> Kernel {
    let mut protocol = shield(on_malformed, Grammar::Strict, MAX_LINE_BYTES);
    let client = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
    let client = client.expect("a socket");
    let conn = protocol.connection(client.as_fd(), 0);
    let share = WorkerShare::new(&Arc::default(), &Arc::default()).expect("an eventfd");
    let mut cx = Context::new(kernel, protocol, Arc::new(share), 0);
    assert!(client.as_raw_fd() > 0);
    let mut session = Session::new(0, client, conn, 0);
    session.start(&mut cx);
    let mut done = Vec::new();
    for _ in 0..100_000 {
        cx.driver.wait(None, &mut done).expect("simulated");
        assert!(
            !done.is_empty(),
            "stuck in {:?} with {:?}",
            session.phase,
            cx.driver.pending
        );
        for completion in done.drain(..) {
            match completion {
                Completion::Connected(_, outcome) => session.connected(&mut cx, outcome),
                Completion::Received(owner, outcome) => {
                    session.received(&mut cx, owner.side, outcome);
                }
                Completion::Sent(owner, outcome) => session.sent(&mut cx, owner.side, outcome),
                Completion::Polled(owner, what) => session.ready(&mut cx, owner.side, what),
                Completion::Accepted(_) | Completion::Woken => {}
            }
        }
        if session.phase == Phase::Over {
            return cx.driver;
        }
    }
    panic!("no end in sight");
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b"REQ 1 abc\n".to_vec()),
        Just(b"REQ 2 d\r\n".to_vec()),
        Just(b"bad\n".to_vec()),
        Just(b"\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..60),
    ];
    proptest::collection::vec(line, 0..40).prop_map(|lines| lines.concat())
}

fn is_good(line: &[u8]) -> bool {
    matches!(
        protocol::foo::Message::next(line),
        Some((Ok(message), _)) if message.kind == protocol::foo::Kind::Req
    )
}

proptest! {
    #[test]
    fn both_directions_pass_byte_for_byte(
        client in lines(),
        upstream in lines(),
        choices in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let input = [client.clone(), upstream.clone()];
        let kernel = run(Kernel { input, choices, ..Kernel::default() }, OnMalformed::Forward);
        prop_assert_eq!(&kernel.output[1], &client);
        prop_assert_eq!(&kernel.output[0], &upstream);
        prop_assert!(kernel.chunks.iter().all(Option::is_none), "every chunk is given back");
        prop_assert!(kernel.pending.is_empty() && kernel.closed == 2);
    }

    #[test]
    fn every_line_is_answered_in_its_place(
        client in lines(),
        choices in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let input = [client.clone(), Vec::new()];
        let kernel = Kernel { input, choices, answers: true, ..Kernel::default() };
        let kernel = run(kernel, OnMalformed::Reply);
        let (mut told, mut answers, mut number) = (Vec::new(), String::new(), 0);
        for line in client.split_inclusive(|&byte| byte == b'\n') {
            if is_good(line) {
                told.extend_from_slice(line);
                answers += &format!("ACK {number}\n");
                number += 1;
            } else {
                answers += "NAK 0 ERRDECODE\n";
            }
        }
        prop_assert_eq!(&kernel.output[1], &told);
        prop_assert_eq!(String::from_utf8_lossy(&kernel.output[0]), answers);
        prop_assert!(kernel.chunks.iter().all(Option::is_none), "every chunk is given back");
        prop_assert!(kernel.pending.is_empty() && kernel.closed == 2);
    }
}
