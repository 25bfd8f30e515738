//! A connection to the management port.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use eventloop::{Fill, Interest, Stream};

use crate::record::DefectHits;
use crate::statsd::commands::{self, Command, Facts};

/// How long the end of a line may be missing before a command is answered without it:
/// `echo -n health | nc` sends none, and what more of the line comes comes at once.
const PATIENCE: Duration = Duration::from_millis(100);

/// Answers that may wait for a client that does not read.
const MOST_UNSENT: usize = 64 * 1024;

/// A client with questions.
#[derive(Debug)]
pub(super) struct Manager {
    stream: Stream,
    /// When a command without an end is to be answered.
    due: Option<Instant>,
    /// Nothing more is read; it is over when all answers have left.
    is_ending: bool,
}

/// What the answers depend on, and what counts them.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) now: Instant,
    pub(super) facts: Facts,
    /// What is said to `health`.
    pub(super) healthy: &'a mut bool,
    /// Whether nothing is answered.
    pub(super) silent: bool,
    pub(super) health_checks: &'a mut u64,
    pub(super) hits: &'a mut DefectHits,
    /// Whether `health: down` is planted.
    pub(super) health_down: bool,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is watched for this.
    Watch(Interest),
    /// It is over.
    Over,
}

impl Manager {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self {
            stream: Stream::new(fd),
            due: None,
            is_ending: false,
        }
    }

    /// When it is to go on without an event.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Reads once, if there is something, and answers.
    pub(super) fn advance(&mut self, readable: bool, desk: &mut Desk<'_>) -> io::Result<Next> {
        if readable && !self.is_ending {
            let fill = self.stream.fill()?;
            self.answer_lines(desk);
            match fill {
                Fill::End => {
                    self.answer_rest(desk);
                    self.is_ending = true;
                }
                Fill::Data(_) => self.be_patient(desk),
                Fill::Blocked => {}
            }
        }
        if self.due.is_some_and(|due| due <= desk.now) {
            self.due = None;
            if Command::of(self.stream.inbound()).is_some() {
                self.answer_rest(desk);
            }
        }
        let is_flushed = self.stream.flush()?;
        Ok(
            if (is_flushed && self.is_ending) || self.stream.unsent() > MOST_UNSENT {
                Next::Over
            } else if is_flushed {
                Next::Watch(Interest::Read)
            } else {
                Next::Watch(if self.is_ending {
                    Interest::Write
                } else {
                    Interest::Both
                })
            },
        )
    }

    fn answer_lines(&mut self, desk: &mut Desk<'_>) {
        while !self.is_ending
            && let (inbound, out) = self.stream.split()
            && let Some(end) = memchr::memchr(b'\n', inbound)
        {
            self.is_ending = desk.answer(&inbound[..end], out);
            self.stream.consume(end + 1);
        }
    }

    /// Answers what has no end.
    fn answer_rest(&mut self, desk: &mut Desk<'_>) {
        let (inbound, out) = self.stream.split();
        let len = inbound.len();
        self.is_ending |= desk.answer(inbound, out);
        self.stream.consume(len);
    }

    /// Waits a little for the end of what is there, but not for ever more of it.
    fn be_patient(&mut self, desk: &Desk<'_>) {
        let waiting = self.stream.inbound().len();
        self.due = (waiting > 0).then(|| desk.now + PATIENCE);
        if waiting > commands::LONGEST {
            self.stream.outbound().extend_from_slice(commands::UNKNOWN);
            self.is_ending = true;
        }
    }
}

impl AsFd for Manager {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Desk<'_> {
    /// Answers one line, and tells whether it was the last.
    fn answer(&mut self, line: &[u8], out: &mut Vec<u8>) -> bool {
        if line.trim_ascii().is_empty() {
            return false;
        }
        let command = Command::of(line);
        let is_health = matches!(command, Some(Command::Health(_)));
        *self.health_checks += u64::from(is_health);
        if self.silent {
            self.hits.silent_health += u64::from(is_health);
            return false;
        }
        let Some(command) = command else {
            out.extend_from_slice(commands::UNKNOWN);
            return false;
        };
        if let Command::Health(Some(healthy)) = command {
            *self.healthy = healthy;
        }
        if is_health && self.health_down && !*self.healthy {
            self.hits.health_down += 1;
        }
        command.answer(*self.healthy, &self.facts, out);
        command == Command::Quit
    }
}
