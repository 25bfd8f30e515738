//! One client: when it is read from, when its answers leave, when it is over. The same
//! for every mode.

use std::io;
use std::time::Instant;

use eventloop::{Fill, Interest};

use crate::delayed::Delayed;
use crate::distort::distort;
use crate::planted::Planted;
use crate::preface;
use crate::socket::Socket;
use crate::talk::{Context, Input, Stopped, Talk};
use crate::turn::{Lent, Phase, State};

/// A client that does not read its answers is not read from beyond this many bytes of
/// them. Enough to fill the socket again while the next read is answered.
const MAX_UNSENT_BYTES: usize = 256 * 1024;

/// How often a connection with more to say is written to before the others get their
/// turn.
const WRITES_PER_TURN: u32 = 4;

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    talk: Talk,
    planted: Option<Box<Planted>>,
    delayed: Delayed,
    phase: Phase,
    /// The client has ended its side.
    ended: bool,
    /// There is more to say than there was room for.
    unfinished: bool,
    interest: Interest,
    /// When the worker will come back without an event.
    pub(crate) alarm: Option<Instant>,
}

impl Connection {
    /// A new connection, and what it is to be watched for.
    pub(crate) fn new(socket: Socket, talk: Talk, planted: Option<Box<Planted>>) -> Self {
        let interest = if talk.begins() {
            Interest::Both
        } else {
            Interest::Read
        };
        Self {
            socket,
            talk,
            planted,
            delayed: Delayed::default(),
            phase: Phase::Talking,
            ended: false,
            unfinished: false,
            interest,
            alarm: None,
        }
    }

    /// Lets it begin with a PROXY header.
    pub(crate) fn expect_preface(&mut self) {
        self.phase = Phase::Preface;
        self.interest = Interest::Read;
    }

    /// Never reads, answers or closes it.
    pub(crate) fn fall_silent(&mut self) {
        self.phase = Phase::Silent;
        self.interest = Interest::Edge;
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// What it is to be watched for.
    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    /// Reads once if that is wanted, answers what can be answered, writes.
    ///
    /// # Errors
    /// That the connection is broken.
    pub(crate) fn advance(
        &mut self,
        readable: bool,
        context: &mut Context<'_>,
        lent: &mut Lent<'_>,
    ) -> io::Result<State> {
        if self.phase == Phase::Silent {
            // A reset is all that can still happen to it.
            eventloop::net::connect_result(&self.socket)?;
            return Ok(State::Waits);
        }
        self.socket.borrow(lent.spare);
        let state = self.take_turn(readable, context, lent);
        self.socket.give_back(lent.spare);
        state
    }

    fn take_turn(
        &mut self,
        readable: bool,
        context: &mut Context<'_>,
        lent: &mut Lent<'_>,
    ) -> io::Result<State> {
        if readable {
            self.read(context)?;
        }
        if self.phase == Phase::Preface && !self.take_preface(context) {
            return Ok(State::Cut);
        }
        for _ in 0..WRITES_PER_TURN {
            let stopped = self.answer(context, lent);
            self.flush(context)?;
            self.unfinished = stopped == Stopped::NoRoom;
            match stopped {
                _ if self.must_reset(context) => return Ok(State::Cut),
                Stopped::NoRoom if self.socket.unsent() == 0 => {}
                Stopped::Hang => return Ok(State::Hang),
                _ => break,
            }
        }
        if self.queued() == 0 && self.may_end() {
            match self.phase {
                Phase::Cutting => return Ok(State::Over),
                Phase::Ending | Phase::Ended if self.ended => return Ok(State::Over),
                Phase::Ending => {
                    self.socket.shutdown_write()?;
                    self.phase = Phase::Ended;
                }
                _ => {}
            }
        }
        let interest = self.wanted(context);
        if std::mem::replace(&mut self.interest, interest) == interest {
            return Ok(State::Waits);
        }
        Ok(State::Watch(interest))
    }

    fn read(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let limit = self.may_read(context);
        if limit == 0 {
            return Ok(());
        }
        match self.socket.fill(limit)? {
            Fill::Blocked => {}
            Fill::Data(bytes) => {
                context.counts.bytes_in += bytes as u64;
                context.process.count_bytes(bytes);
                if let Some(planted) = &mut self.planted {
                    planted.was_read(bytes);
                    if !context.process.config.mode.answers() {
                        planted.answers(bytes);
                        planted.has_passed(bytes);
                    }
                }
            }
            Fill::End => {
                self.ended = true;
                if let Some(planted) = &mut self.planted {
                    planted.client_ended(&mut context.counts.hits);
                }
            }
        }
        Ok(())
    }

    /// `false` if there is no PROXY header and will be none.
    fn take_preface(&mut self, context: &mut Context<'_>) -> bool {
        match preface::take(self.socket.inbound(), context) {
            Ok(Some(len)) => {
                self.socket.consume(len);
                self.phase = Phase::Talking;
                true
            }
            Ok(None) if self.ended => {
                context.counts.proxy_headers.cut_short += 1;
                self.phase = Phase::Ending;
                true
            }
            Ok(None) => true,
            Err(error) => {
                tracing::warn!("expected a PROXY header: {error}");
                false
            }
        }
    }

    /// Lets answers leave whose delay is over.
    pub(crate) fn release(&mut self, now: Instant) {
        self.delayed.release(now, self.socket.outbound());
    }

    /// Takes an answer that is meant for another client, if it still takes any.
    pub(crate) fn take_stray(&mut self, answer: &[u8]) -> bool {
        let takes = self.phase == Phase::Talking;
        if takes {
            self.socket.outbound().extend_from_slice(answer);
        }
        takes
    }

    /// When it is to go on although nothing happens.
    pub(crate) fn next_alarm(&self) -> Option<Instant> {
        let delayed = self.delayed.next_due();
        let planted = self.planted.as_ref().and_then(|planted| planted.alarm());
        delayed.into_iter().chain(planted).min()
    }

    fn answer(&mut self, context: &mut Context<'_>, lent: &mut Lent<'_>) -> Stopped {
        if self.phase == Phase::Preface {
            return Stopped::NeedsInput;
        }
        if self.phase != Phase::Talking {
            self.socket.consume(self.socket.inbound().len());
            return Stopped::NeedsInput;
        }
        let already = self.socket.outbound().len();
        let stopped = self.say(context);
        match stopped {
            Stopped::Done => self.phase = Phase::Ending,
            Stopped::Cut => self.phase = Phase::Cutting,
            Stopped::NeedsInput | Stopped::NoRoom | Stopped::Hang => {}
        }
        let defects = &context.process.config.defects;
        if defects.wrong_connection.is_some() {
            self.misdirect(already, context, lent);
        }
        if defects.change_bytes() {
            let hits = &mut context.counts.hits;
            distort(self.socket.outbound(), already, context.process, hits);
        }
        if let Some(planted) = &mut self.planted {
            planted.answers(self.socket.outbound().len() - already);
        }
        if let Some(delay) = defects.slow {
            let held = self.delayed.hold(self.socket.outbound(), already, delay);
            context.counts.hits.slow += u64::from(held);
        }
        stopped
    }

    fn say(&mut self, context: &mut Context<'_>) -> Stopped {
        let room = MAX_UNSENT_BYTES.saturating_sub(self.queued());
        let ended = self.ended;
        if self.talk.is_mirror()
            && context.process.config.defects.hang_after.is_none()
            && context.process.config.defects.leak_memory.is_none()
            && self.socket.reflect()
        {
            return if ended {
                Stopped::Done
            } else {
                Stopped::NeedsInput
            };
        }
        let (bytes, outbound) = self.socket.split();
        let (done, stopped) = self
            .talk
            .answer(Input { bytes, ended }, outbound, room, context);
        self.socket.consume(done);
        stopped
    }

    /// Sends every Nth answer to somebody else.
    fn misdirect(&mut self, already: usize, context: &mut Context<'_>, lent: &mut Lent<'_>) {
        let every = context.process.config.defects.wrong_connection;
        let outbound = self.socket.outbound();
        if let (Some(every), Some(astray)) = (every, &mut lent.astray)
            && outbound.len() > already
            && context.process.next_answer().is_multiple_of(every)
        {
            context.counts.hits.wrong_connection += 1;
            astray.push(outbound.split_off(already));
        }
    }

    fn flush(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let unsent = self.socket.unsent();
        let limit = match &mut self.planted {
            Some(planted) => planted.may_write(unsent, &mut context.counts.hits),
            None => unsent,
        };
        if limit == 0 {
            return Ok(());
        }
        let sent = self.socket.flush(limit)?;
        context.counts.bytes_out += sent as u64;
        context.process.count_bytes(sent);
        if let Some(planted) = &mut self.planted {
            planted.was_written(sent);
            if context.process.config.mode.answers() {
                planted.has_passed(sent);
            }
        }
        Ok(())
    }

    fn must_reset(&self, context: &mut Context<'_>) -> bool {
        let planted = self.planted.as_ref().filter(|planted| planted.must_reset());
        planted.is_some_and(|planted| {
            planted.count_reset(&mut context.counts.hits);
            true
        })
    }

    fn may_end(&self) -> bool {
        self.planted
            .as_ref()
            .is_none_or(|planted| planted.may_end())
    }

    fn queued(&self) -> usize {
        self.socket.unsent() + self.delayed.bytes()
    }

    /// How many bytes may be read now.
    fn may_read(&mut self, context: &mut Context<'_>) -> usize {
        if self.ended {
            return 0;
        }
        // Asked in any case, so that it does not call for a turn that is not taken.
        let paced = match &mut self.planted {
            Some(planted) => planted.may_read(&mut context.counts.hits),
            None => usize::MAX,
        };
        // What is read and not yet answered is bounded as well: answers may be longer than
        // what they answer.
        let is_behind = self.unfinished && !self.socket.inbound().is_empty();
        if is_behind || self.queued() >= MAX_UNSENT_BYTES {
            0
        } else {
            paced
        }
    }

    fn wanted(&mut self, context: &mut Context<'_>) -> Interest {
        let unsent = self.socket.unsent();
        let may_write = match &mut self.planted {
            Some(planted) => planted.may_write(unsent, &mut context.counts.hits) > 0,
            None => unsent > 0,
        };
        let has_more = self.unfinished && self.queued() < MAX_UNSENT_BYTES;
        let wants_read = self.may_read(context) > 0;
        match (wants_read, may_write || has_more) {
            (true, false) => Interest::Read,
            (true, true) => Interest::Both,
            (false, true) => Interest::Write,
            // Only time is waited for. Level-triggered interest would spin.
            (false, false) => Interest::Edge,
        }
    }
}
