//! One client: when it is read from, when its answers leave, when it is over.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use eventloop::{Fill, Interest, Stream};

use crate::lines::{Context, Lines, Stopped};

/// A client that does not read its answers is not read from beyond this many bytes of
/// them. Enough to fill the socket again while the next read is answered.
const MAX_UNSENT_BYTES: usize = 256 * 1024;

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    lines: Lines,
    /// Answers that `slow` holds back, with the time at which each batch may leave.
    delayed: VecDeque<(Instant, Vec<u8>)>,
    delayed_bytes: usize,
    /// The client has ended its side.
    ended: bool,
    /// Nothing more is answered; what is answered still leaves.
    ending: bool,
    interest: Interest,
}

/// What is left to do for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Wait for what it is watched for.
    Waits,
    /// Watch it for this from now on.
    Watch(Interest),
    /// Close it.
    Over,
    /// Hang: the last answers have left.
    Hang,
}

impl Connection {
    /// What a new connection is to be watched for.
    pub(crate) const FIRST_INTEREST: Interest = Interest::Read;

    pub(crate) fn new(stream: Stream, lines: Lines) -> Self {
        Self {
            stream,
            lines,
            delayed: VecDeque::new(),
            delayed_bytes: 0,
            ended: false,
            ending: false,
            interest: Self::FIRST_INTEREST,
        }
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Reads once if that is wanted, answers what can be answered, writes once.
    ///
    /// # Errors
    /// That the connection is broken.
    pub(crate) fn advance(
        &mut self,
        readable: bool,
        context: &mut Context<'_>,
    ) -> io::Result<State> {
        if readable && self.wants_read() {
            match self.stream.fill()? {
                Fill::Data(bytes) => context.counts.bytes_in += bytes as u64,
                Fill::Blocked => {}
                Fill::End => self.ended = true,
            }
        }
        // Ends with no complete line in the buffer or with no room for answers, so that
        // what is read and not yet answered is bounded as well.
        loop {
            let stopped = self.answer(context);
            self.flush(context)?;
            match stopped {
                Stopped::NoRoom if self.queued() < MAX_UNSENT_BYTES => {}
                Stopped::Hang => return Ok(State::Hang),
                Stopped::NoRoom | Stopped::NoLine | Stopped::TooLong => break,
            }
        }
        if self.ending && self.queued() == 0 {
            return Ok(State::Over);
        }
        let interest = self.wanted();
        if std::mem::replace(&mut self.interest, interest) == interest {
            return Ok(State::Waits);
        }
        Ok(State::Watch(interest))
    }

    /// Lets answers leave whose delay is over.
    pub(crate) fn release(&mut self, now: Instant) {
        while self.delayed.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, bytes)) = self.delayed.pop_front() else {
                break;
            };
            self.delayed_bytes -= bytes.len();
            self.stream.outbound().extend_from_slice(&bytes);
        }
    }

    /// When the last answer that is held back may leave.
    pub(crate) fn last_due(&self) -> Option<Instant> {
        self.delayed.back().map(|(due, _)| *due)
    }

    fn answer(&mut self, context: &mut Context<'_>) -> Stopped {
        if self.ending {
            return Stopped::NoLine;
        }
        let room = MAX_UNSENT_BYTES.saturating_sub(self.queued());
        let already = self.stream.outbound().len();
        let (inbound, outbound) = self.stream.split();
        let (done, mut stopped) = self.lines.answer(inbound, outbound, room, context);
        if stopped == Stopped::NoLine && self.ended {
            stopped = self.lines.answer_tail(&inbound[done..], outbound, context);
            self.ending = true;
        }
        self.stream.consume(done);
        if stopped == Stopped::TooLong {
            context.counts.too_long += 1;
            self.ending = true;
        }
        if let Some(delay) = context.process.config.defects.slow {
            self.hold_back(already, delay);
        }
        stopped
    }

    /// Takes the answers from `already` on out of the outbound buffer, for later.
    fn hold_back(&mut self, already: usize, delay: Duration) {
        let answers = self.stream.outbound().split_off(already);
        if !answers.is_empty() {
            self.delayed_bytes += answers.len();
            self.delayed.push_back((Instant::now() + delay, answers));
        }
    }

    fn flush(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let before = self.stream.unsent();
        let flushed = self.stream.flush();
        context.counts.bytes_out += (before - self.stream.unsent()) as u64;
        flushed.map(drop)
    }

    fn queued(&self) -> usize {
        self.stream.unsent() + self.delayed_bytes
    }

    fn wants_read(&self) -> bool {
        !self.ended && !self.ending && self.queued() < MAX_UNSENT_BYTES
    }

    fn wanted(&self) -> Interest {
        match (self.wants_read(), self.stream.unsent() > 0) {
            (true, false) => Interest::Read,
            (true, true) => Interest::Both,
            (false, true) => Interest::Write,
            // Only a delay is waited for. Level-triggered interest would spin.
            (false, false) => Interest::Edge,
        }
    }
}
