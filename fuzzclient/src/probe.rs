//! One valid request on a fresh connection: whether the target lives, told over the network
//! alone.

mod text;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use text::unescape;

/// Bytes of an answer at most: it is one line, or a few.
const MOST_ANSWER_BYTES: usize = 64 * 1024;

/// Requests that every Foo server answers, with ACK or NAK each.
const FOO_REQUESTS: &[u8] = b"REQ 1 alive\nREQ 2 and\nREQ 3 kicking\nREQ 4\n";

/// How many they are.
const FOO_COUNT: usize = 4;

/// How often it is asked before any garbage, to see whether it answers the same each time.
pub const USUAL_TIMES: usize = 3;

/// How long a refusal of a datagram may take: ICMP from this machine comes at once.
const REFUSAL_PATIENCE: Duration = Duration::from_millis(20);

/// What is asked, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whom; none: the target.
    pub at: Option<SocketAddr>,
    /// What.
    pub question: Question,
    /// How long the answer may take.
    pub patience: Duration,
    /// What takes longer is slow.
    pub slow_after: Duration,
    /// What was answered before any garbage, if that was the same several times: everything
    /// else is wrong then.
    pub usual: Option<Vec<u8>>,
}

/// What is asked. In JSON, bytes are text with escapes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Nothing: a connection is enough.
    Connect,
    /// These bytes, which are answered with something that holds one of those.
    Bytes {
        /// What is sent.
        #[serde(with = "text::one")]
        send: Vec<u8>,
        /// What the answer holds, one of them; if there is none, any byte will do.
        #[serde(with = "text::many")]
        expect: Vec<Vec<u8>>,
    },
    /// Requests of the Foo protocol, at once, which are answered in order: an answer that is
    /// lost, doubled, changed or another's shows.
    Foo,
    /// Nothing, and our side is ended: any byte will do for an answer, and so will the end of
    /// the other side.
    End,
    /// This datagram, which nobody answers: only that nobody listens can be told.
    Datagram(#[serde(with = "text::one")] Vec<u8>),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The right answer, after so long, and what it was.
    Answered(Duration, Vec<u8>),
    /// Nobody listens there.
    Refused,
    /// It was taken and ended without an answer.
    Closed,
    /// Nothing for too long.
    Silent,
    /// An answer that is none to this question.
    Wrong(Vec<u8>),
    /// It could not be asked, for a reason of our own.
    Failed(String),
}

impl Probe {
    /// Asks.
    #[must_use]
    pub fn ask(&self, target: SocketAddr) -> Outcome {
        let at = self.at.unwrap_or(target);
        let started = Instant::now();
        let asked = match &self.question {
            Question::Connect => self
                .connect(at)
                .map(|_| Outcome::Answered(started.elapsed(), Vec::new())),
            Question::Datagram(datagram) => {
                knock(at, datagram).map(|()| Outcome::Answered(started.elapsed(), Vec::new()))
            }
            Question::End => self
                .connect(at)
                .and_then(|stream| self.end(stream, started)),
            Question::Bytes { send, expect } => {
                let holds = |answer: &[u8]| judge_parts(answer, expect);
                let talk = |stream| self.talk(stream, started, send, &holds);
                self.connect(at).and_then(talk)
            }
            Question::Foo => {
                let judge = |answer: &[u8]| judge_foo(answer, self.usual.as_deref());
                let talk = |stream| self.talk(stream, started, FOO_REQUESTS, &judge);
                self.connect(at).and_then(talk)
            }
        };
        asked.unwrap_or_else(|error| outcome_of(&error))
    }

    /// What it sends to the target, if it sends to that.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.question {
            _ if self.at.is_some() => None,
            Question::Connect | Question::End => Some(b""),
            Question::Bytes { send, .. } => Some(send),
            Question::Foo => Some(FOO_REQUESTS),
            Question::Datagram(datagram) => Some(datagram),
        }
    }

    /// Asks before any garbage, several times if that shows what the usual answer is.
    pub fn learn(&mut self, target: SocketAddr) -> Outcome {
        let first = self.ask(target);
        let Outcome::Answered(_, answer) = &first else {
            return first;
        };
        // The protocol answers equal requests equally; other answers may hold the time of day.
        let again = |_| matches!(self.ask(target), Outcome::Answered(_, other) if other == *answer);
        if self.question == Question::Foo && (1..USUAL_TIMES).all(again) {
            self.usual = Some(answer.clone());
        }
        first
    }

    fn end(&self, mut stream: TcpStream, started: Instant) -> io::Result<Outcome> {
        stream.shutdown(Shutdown::Write)?;
        stream.set_read_timeout(Some(self.patience))?;
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece)?;
        Ok(Outcome::Answered(started.elapsed(), piece[..n].to_vec()))
    }

    fn connect(&self, at: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&at, self.patience)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn talk(
        &self,
        mut stream: TcpStream,
        started: Instant,
        send: &[u8],
        judge: &dyn Fn(&[u8]) -> Judged,
    ) -> io::Result<Outcome> {
        let deadline = started + self.patience;
        stream.set_write_timeout(Some(self.patience))?;
        stream.write_all(send)?;
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || answer.len() >= MOST_ANSWER_BYTES {
                return Ok(if answer.is_empty() {
                    Outcome::Silent
                } else {
                    Outcome::Wrong(answer)
                });
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece) {
                Ok(0) if answer.is_empty() => return Ok(Outcome::Closed),
                Ok(0) => return Ok(Outcome::Wrong(answer)),
                Ok(n) => answer.extend_from_slice(&piece[..n]),
                Err(error) if is_timeout(&error) && answer.is_empty() => {
                    return Ok(Outcome::Silent);
                }
                Err(error) if is_timeout(&error) => return Ok(Outcome::Wrong(answer)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            match judge(&answer) {
                Judged::Right => return Ok(Outcome::Answered(started.elapsed(), answer)),
                Judged::Wrong => return Ok(Outcome::Wrong(answer)),
                Judged::Unfinished => {}
            }
        }
    }
}

/// What an answer is, as far as it has come.
enum Judged {
    Right,
    Wrong,
    Unfinished,
}

/// Whether it holds one of these.
fn judge_parts(answer: &[u8], expect: &[Vec<u8>]) -> Judged {
    let holds = |part: &Vec<u8>| memchr::memmem::find(answer, part).is_some();
    if expect.is_empty() || expect.iter().any(holds) {
        Judged::Right
    } else if answer.ends_with(b"\n") && expect.iter().all(|part| part.len() <= answer.len()) {
        // An answer of one line that is not the right one will not become it.
        Judged::Wrong
    } else {
        Judged::Unfinished
    }
}

/// Whether it answers [`FOO_REQUESTS`], and as before.
fn judge_foo(answer: &[u8], usual: Option<&[u8]>) -> Judged {
    let mut lines = 0;
    for line in answer.split_inclusive(|&byte| byte == b'\n') {
        lines += usize::from(line.ends_with(b"\n"));
        let right = [format!("ACK {lines} "), format!("NAK {lines} ")];
        let is_right = right.iter().any(|right| line.starts_with(right.as_bytes()));
        if line.ends_with(b"\n") && !is_right {
            return Judged::Wrong;
        }
    }
    match lines {
        FOO_COUNT.. if usual.is_some_and(|usual| usual != answer) => Judged::Wrong,
        FOO_COUNT.. => Judged::Right,
        _ => Judged::Unfinished,
    }
}

/// Sends a datagram and waits whether it comes back as refused.
fn knock(at: SocketAddr, datagram: &[u8]) -> io::Result<()> {
    let from: SocketAddr = match at {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from)?;
    socket.connect(at)?;
    socket.set_read_timeout(Some(REFUSAL_PATIENCE))?;
    socket.send(datagram)?;
    match socket.recv(&mut [0; 16]) {
        Err(error) if !is_timeout(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn outcome_of(error: &io::Error) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Outcome::Refused,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Outcome::Silent,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted => Outcome::Closed,
        _ => Outcome::Failed(error.to_string()),
    }
}
