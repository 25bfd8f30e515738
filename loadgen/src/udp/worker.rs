//! A worker: one thread with its own sockets and its share of the load.
//!
//! One turn of the loop: send what is due, give up what is not back in time, wait for
//! answers or for the next due slot, read what came. Slot k of a worker is sent by its
//! socket k modulo their number, so that each sends the same in every run with the same
//! seed.

use std::io;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use eventloop::datagram::{LONGEST, Receiver};
use eventloop::{Events, Interest, Poller};
use service::clock::mono_ns;

use super::client::{Client, Form};
use super::ledger::Ledger;
use crate::crew::{Connections, FromWorker, Hand, Seat, WorkerDone};
use crate::datagrams::{Batch, MOST};
use crate::feed::{ClosedLoop, Feed, OpenLoop};
use crate::histograms::{self, Histogram};
use crate::load_meter::LoadMeter;
use crate::plan::{Datagrams, Plan, nanos};
use crate::recorder::Recorder;
use crate::slices::Slices;
use crate::stop::StopFlag;
use crate::tally::{ConnectTally, NotSent};
use crate::timeline::Timeline;
use crate::worker::DRAIN_WHEN_STOPPED_NS;

/// Longest wait: a request to stop is seen within this time.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Between two looks at what is not back in time, at most; a tenth of the timeout if that
/// is shorter. A closed loop goes on after a loss when it looks.
const LONGEST_ROUND: Duration = Duration::from_millis(10);

/// A worker and all it owns.
pub(crate) struct Worker {
    plan: Arc<Plan>,
    form: Form,
    segments: bool,
    timeout: u64,
    stop: StopFlag,
    poller: Poller,
    clients: Vec<Client>,
    /// Whose turn it is.
    turn: usize,
    /// Sockets with something to send.
    dirty: Vec<usize>,
    feed: Feed,
    batch: Batch,
    receiver: Receiver,
    recorder: Recorder<()>,
    ledger: Ledger,
    send_lag: Histogram,
    meter: LoadMeter,
    slices: Slices,
    /// When what is not back in time is looked for next.
    round: u64,
    /// When sending was over, and what was known then.
    over: Option<Over>,
}

#[derive(Clone, Copy)]
struct Over {
    at: u64,
    tried: u64,
    last_reply: u64,
    deadline: u64,
}

impl Hand for Worker {
    fn run(mut self, start: &mpsc::Receiver<Timeline>) -> io::Result<()> {
        // With the default slack of 50 µs every sleep would end that much later.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        self.open_all()?;
        self.slices.report(FromWorker::Opened {
            open: self.clients.len(),
            connects: self.connects(),
        });
        // The sender is gone when the run was called off.
        let Ok(timeline) = start.recv() else {
            return Ok(());
        };
        self.begin(timeline);
        let mut events = Events::new();
        while self.turn(&mut events)? {}
        self.done();
        Ok(())
    }
}

impl Worker {
    /// The worker of `seat`.
    pub(crate) fn new(seat: Seat, how: Datagrams) -> io::Result<Self> {
        let Seat { plan, stop, slices } = seat;
        let stride = plan.seat(slices.worker);
        let feed = match plan.schedule() {
            Some(schedule) => {
                let slots = schedule.share(stride);
                // What is due leaves at once: nothing ever waits.
                Feed::Open(OpenLoop::new(slots, plan.slot_end(&schedule), u64::MAX))
            }
            None => {
                let left = plan.requests.map_or(u64::MAX, |all| stride.share(all));
                Feed::Closed(ClosedLoop { left })
            }
        };
        // One byte more, so that a datagram that has grown is not taken for its own start.
        let longest = (plan.payload.max + 1).min(LONGEST);
        Ok(Self {
            form: Form {
                run: how.run,
                seed: plan.seed,
                lengths: plan.payload,
            },
            segments: how.segments,
            timeout: nanos(how.timeout),
            stop,
            poller: Poller::new()?,
            clients: vec![],
            turn: 0,
            dirty: vec![],
            feed,
            batch: Batch::default(),
            receiver: Receiver::new(MOST, longest),
            recorder: Recorder::new((), plan.waits_apart()),
            ledger: Ledger::default(),
            send_lag: histograms::empty(),
            meter: LoadMeter::default(),
            slices,
            round: 0,
            over: None,
            plan,
        })
    }

    fn open_all(&mut self) -> io::Result<()> {
        let stride = self.plan.seat(self.slices.worker);
        for nth in (stride.first..self.plan.connections as u64).step_by(stride.step as usize) {
            let number = u32::try_from(nth).expect("sockets are far fewer");
            let client = Client::open(number, &self.plan, self.segments)?;
            let token = self.clients.len() as u64;
            self.poller.add(client.socket(), token, Interest::Read)?;
            self.clients.push(client);
        }
        Ok(())
    }

    fn connects(&self) -> ConnectTally {
        let mut connects = ConnectTally::default();
        connects.opened = self.clients.len() as u64;
        connects
    }

    fn begin(&mut self, timeline: Timeline) {
        let connections = Connections::of(&self.connects());
        self.slices.begin(timeline, &mut self.recorder, connections);
        if let Feed::Open(open) = &mut self.feed {
            open.begin(timeline.start);
        }
        while mono_ns() < timeline.start && !self.stop.is_set() {
            std::hint::spin_loop();
        }
    }

    /// One turn. `false` when the run is over.
    fn turn(&mut self, events: &mut Events) -> io::Result<bool> {
        let now = mono_ns();
        self.keep_time(now);
        if now >= self.round {
            self.look_round(now);
        }
        let more_due = self.reach_due(now);
        let sent = self.flush();
        if let Some(over) = self.over
            && (now >= over.deadline || self.clients.iter().all(|one| one.open_requests() == 0))
        {
            return Ok(false);
        }
        let (timeout, polling) = if more_due {
            (Duration::ZERO, false)
        } else {
            self.wait_time(mono_ns())
        };
        self.poller.wait(events, Some(timeout))?;
        if polling && !sent && events.is_empty() {
            self.meter.spun(mono_ns() - now);
        }
        for (token, _) in events.iter() {
            let at = token as usize;
            self.clients[at].receive(
                &mut self.receiver,
                &self.form,
                self.timeout,
                mono_ns,
                &mut self.recorder,
                &mut self.ledger,
            );
            self.refill(at, mono_ns());
        }
        Ok(true)
    }

    /// Enters slices and phases, and ends sending when it is time.
    fn keep_time(&mut self, now: u64) {
        if self.over.is_none() {
            if let Some(stopped) = self.stop.at() {
                self.slices.end_by(stopped);
            }
            if let Feed::Open(open) = &mut self.feed {
                open.settle(now);
            }
            let end = self.slices.timeline.end;
            let exhausted = match &self.feed {
                Feed::Open(open) => open.exhausted_at(),
                Feed::Closed(closed) => (closed.left == 0).then_some(now),
            };
            if now >= end {
                // What was due until then is due, however late we are.
                while self.reach_due(now) {}
                self.flush();
                self.end_sending(end, now);
            } else if let Some(at) = exhausted {
                self.end_sending(at, now);
            }
        }
        let connections = Connections::of(&self.connects());
        self.slices
            .keep_time(now, &mut self.recorder, connections, &mut self.meter);
    }

    fn end_sending(&mut self, at: u64, now: u64) {
        if let Feed::Open(open) = &mut self.feed {
            open.stop();
        }
        let mut drain = nanos(self.plan.drain);
        if self.stop.at().is_some() {
            drain = drain.min(DRAIN_WHEN_STOPPED_NS);
        }
        let targets = NotSent::ALL.iter().filter(|kind| kind.is_the_targets());
        let unsent = &self.ledger.unsent_measured;
        let kept: u64 = targets.map(|kind| unsent.of(*kind)).sum();
        self.over = Some(Over {
            at,
            tried: self.recorder.books.measured.sent + kept,
            last_reply: self.recorder.last_reply,
            // From now on, so that the last to leave has its whole time.
            deadline: mono_ns().saturating_add(drain),
        });
        self.meter.end(now);
    }

    /// Hands due slots to the sockets whose turn it is. `true` if more may be due.
    fn reach_due(&mut self, now: u64) -> bool {
        let (Feed::Open(open), None) = (&mut self.feed, self.over) else {
            return false;
        };
        let Timeline {
            end, measure_from, ..
        } = self.slices.timeline;
        let more = open.reach(now, end, measure_from, &mut self.send_lag);
        while let Some(due) = open.take() {
            let client = &mut self.clients[self.turn];
            if client.due.is_empty() {
                self.dirty.push(self.turn);
            }
            client.due.push(due);
            self.turn = (self.turn + 1) % self.clients.len();
        }
        more
    }

    /// Gives up what is not back in time, and goes on in its place.
    fn look_round(&mut self, now: u64) {
        let every = nanos(LONGEST_ROUND).min(self.timeout / 10).max(1);
        self.round = now.saturating_add(every);
        let sent_by = now.saturating_sub(self.timeout);
        for at in 0..self.clients.len() {
            self.clients[at].expire(sent_by, &mut self.recorder);
            self.refill(at, now);
        }
    }

    /// A closed loop: makes as many due as there are places for.
    #[inline]
    fn refill(&mut self, at: usize, now: u64) {
        let Timeline {
            end, measure_from, ..
        } = self.slices.timeline;
        if self.over.is_some() || now >= end {
            return;
        }
        let Feed::Closed(closed) = &mut self.feed else {
            return;
        };
        let client = &mut self.clients[at];
        let was_clean = client.due.is_empty();
        while client.open_requests() + client.due.len() < self.plan.pipeline
            && closed.take(now, measure_from)
        {
            client.due.push(now);
        }
        if was_clean && !client.due.is_empty() {
            self.dirty.push(at);
        }
    }

    /// Sends all that is due. Says whether there was anything.
    fn flush(&mut self) -> bool {
        if self.dirty.is_empty() {
            return false;
        }
        let patient = matches!(self.feed, Feed::Closed(_));
        for at in self.dirty.drain(..) {
            self.clients[at].send(
                mono_ns(),
                &self.form,
                patient,
                &mut self.batch,
                &mut self.recorder,
                &mut self.ledger,
            );
        }
        true
    }

    /// How long to wait, and whether that is polling for a due slot.
    fn wait_time(&self, now: u64) -> (Duration, bool) {
        let mut wake = now.saturating_add(nanos(LONGEST_WAIT));
        wake = wake.min(self.slices.slice.end).min(self.round);
        wake = wake.min(match self.over {
            Some(over) => over.deadline,
            None => self.slices.timeline.end,
        });
        let timer = Duration::from_nanos(wake.saturating_sub(now));
        let Feed::Open(open) = &self.feed else {
            return (timer, false);
        };
        match open.next_due() {
            Some(due) if due < wake => {
                let pace = self.plan.pacer.wait(now, due);
                (pace, pace.is_zero() && due > now)
            }
            _ => (timer, false),
        }
    }

    fn done(mut self) {
        let sent_by = mono_ns().saturating_sub(self.timeout);
        for client in &mut self.clients {
            // What is over since the last look is lost, not unanswered.
            client.expire(sent_by, &mut self.recorder);
            client.finish(&mut self.recorder, &mut self.ledger);
        }
        let mut connects = self.connects();
        connects.completed = connects.opened;
        let end = mono_ns().max(self.slices.slice.start);
        self.slices
            .hand_over(end, &mut self.recorder, Connections::of(&connects));
        let Some(over) = self.over else { return };
        let done = WorkerDone {
            worker: self.slices.worker,
            measured: self.recorder.books.measured,
            connects,
            service: self.recorder.service,
            send_lag: self.send_lag,
            connect: histograms::empty(),
            handshake: histograms::empty(),
            ended: over.at,
            sent_in_time: over.tried,
            waiting_at_end: 0,
            last_reply: over.last_reply,
            never_written: 0,
            missed: 0,
            load: self.meter,
            datagrams: Some(Box::new(self.ledger)),
        };
        self.slices.report(FromWorker::Done(Box::new(done)));
    }
}
