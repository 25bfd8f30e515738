//! One connection: what is sent on it, what comes back, and how it ends.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use eventloop::{Interest, net};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use service::clock::mono_ns;

use crate::budget::Budget;
use crate::generate::{ByteStream, Ending, More, Script};
use crate::observed::HUNG;
use crate::record::SessionRecord;
use crate::recording::Recording;

/// Bytes offered to one send: a block of the generator is not more.
const SEND_BYTES: u64 = 64 * 1024;

/// How a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All was sent, and we ended it as it was to be: if by ending our side only, the target
    /// ended its side after that.
    Finished,
    /// The target reset the connection.
    Reset,
    /// The target ended its side before we did.
    ClosedByPeer,
    /// Nobody listens there.
    Refused,
    /// It could not be connected for another reason.
    ConnectFailed,
    /// The target took nothing and sent nothing for too long.
    Hung,
    /// The same, while others are answered.
    Silent,
    /// We were interrupted.
    Interrupted,
}

impl End {
    /// The name in the record.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Reset => "reset",
            Self::ClosedByPeer => "closed_by_peer",
            Self::Refused => "refused",
            Self::ConnectFailed => "connect_failed",
            Self::Hung => HUNG,
            Self::Silent => "silent",
            Self::Interrupted => "interrupted",
        }
    }

    /// What a failed connection attempt was.
    pub(crate) fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::ConnectFailed,
        }
    }

    /// Whether the target ended it before its time.
    pub(crate) fn is_cut_short(self) -> bool {
        matches!(self, Self::Reset | Self::ClosedByPeer)
    }

    /// Whether something may be amiss with the target.
    pub(crate) fn is_suspicious(self) -> bool {
        !matches!(self, Self::Finished | Self::Interrupted)
    }
}

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) started: Instant,
    pub(crate) budget: Budget,
    pub(crate) recording: Option<Recording>,
    /// Where replies are read to, to be counted and forgotten.
    pub(crate) replies: Vec<u8>,
    /// Nothing more is sent: time is up.
    pub(crate) over: bool,
    /// A source has ended.
    pub(crate) source_ended: bool,
    pub(crate) lines_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) lines_received: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Sending,
    /// We have sent all and ended our side; the target has not.
    Ending,
}

/// What a session waits for, or that it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Watch it for this from now on.
    Watch(Interest),
    /// Go on as before.
    Waits,
    /// It is over.
    Ended(End),
}

/// A connection that is being established or used.
#[derive(Debug)]
pub(crate) struct Session {
    fd: OwnedFd,
    number: u64,
    bytes: ByteStream,
    script: Script,
    /// Bytes that it may still send; `None`: as many as there are.
    quota: Option<u64>,
    /// When the next byte is due, if they go one by one.
    due: Option<Instant>,
    phase: Phase,
    sent: u64,
    received: u64,
    /// When something last went either way, or could not because of us.
    progress: Instant,
    interest: Interest,
}

impl Session {
    /// What a new session is to be watched for.
    pub(crate) const FIRST_INTEREST: Interest = Interest::Write;

    /// A session on a connection that has just been started.
    pub(crate) fn new(fd: OwnedFd, number: u64, bytes: ByteStream, script: Script) -> Self {
        Self {
            fd,
            number,
            bytes,
            script,
            quota: script.bytes,
            due: None,
            phase: Phase::Connecting,
            sent: 0,
            received: 0,
            progress: Instant::now(),
            interest: Self::FIRST_INTEREST,
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.phase != Phase::Connecting
    }

    /// Reads once, sends once.
    ///
    /// # Errors
    /// That the source or the recording failed; what the target does is a step.
    pub(crate) fn step(
        &mut self,
        readable: bool,
        writable: bool,
        shared: &mut Shared,
    ) -> io::Result<Step> {
        if self.phase == Phase::Connecting {
            if !writable {
                return Ok(Step::Waits);
            }
            if let Err(error) = net::connect_result(&self.fd) {
                return Ok(Step::Ended(End::of_connect(&error)));
            }
            self.phase = Phase::Sending;
            self.progress = Instant::now();
        }
        if readable && let Some(end) = self.receive(shared) {
            return Ok(Step::Ended(end));
        }
        let wanted = match self.phase {
            Phase::Sending if writable || self.interest == Interest::Read => {
                match self.send(shared)? {
                    Ok(interest) => interest,
                    Err(end) => return Ok(Step::Ended(end)),
                }
            }
            _ => self.interest,
        };
        if std::mem::replace(&mut self.interest, wanted) == wanted {
            return Ok(Step::Waits);
        }
        Ok(Step::Watch(wanted))
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// When its next byte is due, if it waits for nothing else.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.is_held_back())
    }

    /// Whether it wants to send and must not yet, or has nothing at hand.
    pub(crate) fn is_held_back(&self) -> bool {
        self.phase == Phase::Sending && self.interest == Interest::Read
    }

    /// Whether it has waited for the target for longer than this, and how it ends then.
    pub(crate) fn gave_up(&self, now: Instant, hang_after: Duration) -> Option<End> {
        if self.is_held_back() || now.saturating_duration_since(self.progress) < hang_after {
            return None;
        }
        Some(if self.is_connected() {
            End::Hung
        } else {
            End::ConnectFailed
        })
    }

    /// What is to be kept of it.
    pub(crate) fn record(&self, end: End) -> SessionRecord {
        SessionRecord {
            bytes_sent: self.sent,
            bytes_received: self.received,
            ..Self::never_connected(self.number, end)
        }
    }

    /// What is kept of a session that has not even begun to connect.
    pub(crate) fn never_connected(number: u64, end: End) -> SessionRecord {
        SessionRecord {
            connection: number,
            bytes_sent: 0,
            bytes_received: 0,
            end: end.kind().to_owned(),
            end_mono_ns: mono_ns(),
        }
    }

    fn receive(&mut self, shared: &mut Shared) -> Option<End> {
        match rustix::net::recv(&self.fd, &mut shared.replies[..], RecvFlags::empty()) {
            Ok((0, _)) if self.phase == Phase::Ending => Some(End::Finished),
            Ok((0, _)) => Some(End::ClosedByPeer),
            Ok((n, _)) => {
                self.received += n as u64;
                shared.bytes_received += n as u64;
                shared.lines_received += count_lines(&shared.replies[..n]);
                self.progress = Instant::now();
                None
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(_) => Some(End::Reset),
        }
    }

    /// Sends once, and tells what to wait for then, or how the session has ended.
    fn send(&mut self, shared: &mut Shared) -> io::Result<Result<Interest, End>> {
        let wanted = self.quota.map_or(SEND_BYTES, |quota| quota.min(SEND_BYTES));
        if wanted == 0 || shared.over || shared.budget.is_spent() {
            return self.end_our_side(shared);
        }
        let now = Instant::now();
        if self.due.is_some_and(|due| now < due) {
            self.progress = now;
            return Ok(Ok(Interest::Read));
        }
        let wanted = self.script.pause.map_or(wanted, |_| 1);
        let allowed = shared.budget.allows(now - shared.started, wanted);
        if allowed == 0 {
            self.progress = now;
            return Ok(Ok(Interest::Read));
        }
        let bytes = match self
            .bytes
            .peek(usize::try_from(allowed).unwrap_or(usize::MAX))?
        {
            (More::Bytes, bytes) => bytes,
            (More::NotYet, _) => {
                self.progress = now;
                return Ok(Ok(Interest::Read));
            }
            (More::End, _) => {
                shared.source_ended = true;
                return self.end_our_side(shared);
            }
        };
        match rustix::net::send(&self.fd, bytes, SendFlags::NOSIGNAL) {
            Ok(n) => {
                if let Some(recording) = &mut shared.recording {
                    recording.keep(self.number, &bytes[..n])?;
                }
                shared.lines_sent += count_lines(&bytes[..n]);
                self.bytes.take(n);
                self.progress = now;
                let sent = n as u64;
                self.sent += sent;
                shared.budget.spend(sent);
                if let Some(quota) = &mut self.quota {
                    *quota -= sent;
                }
                let Some(pause) = self.script.pause else {
                    return Ok(Ok(Interest::Both));
                };
                self.due = Some(now + pause);
                Ok(Ok(Interest::Read))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Ok(Interest::Both)),
            Err(_) => Ok(Err(End::Reset)),
        }
    }

    /// Ends it as it is to be ended.
    fn end_our_side(&mut self, shared: &mut Shared) -> io::Result<Result<Interest, End>> {
        self.phase = Phase::Ending;
        self.progress = Instant::now();
        if let Some(recording) = &mut shared.recording {
            recording.end(self.number, self.script.ending)?;
        }
        Ok(match self.script.ending {
            Ending::HalfClose => match rustix::net::shutdown(&self.fd, Shutdown::Write) {
                Ok(()) => Ok(Interest::Read),
                Err(_) => Err(End::Reset),
            },
            // Whoever owns the session drops it now, which closes the connection.
            Ending::Close => Err(End::Finished),
            Ending::Reset => {
                // It is closed in any case, if need be in an orderly way.
                let _ = net::reset_on_close(&self.fd);
                Err(End::Finished)
            }
        })
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
