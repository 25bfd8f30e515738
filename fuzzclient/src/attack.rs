//! Opening sessions and driving them, on one thread, until the run is over.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventloop::{Events, Interest, Poller, net};
use service::clock::mono_ns;

use crate::budget::Budget;
use crate::interrupt::Interrupt;
use crate::observed::{CONNECTED, Observed};
use crate::outcome::Outcome;
use crate::plan::{Opening, Plan};
use crate::prober::Prober;
use crate::record::FuzzRecord;
use crate::session::{End, Session, Shared, Step};

const WAKER: u64 = u64::MAX;
const FEED: u64 = u64::MAX - 1;

/// How often time limits are looked at.
const TICK: Duration = Duration::from_millis(10);

/// Room for replies. They are counted and forgotten, so it need not hold all.
const REPLY_BYTES: usize = 256 * 1024;

/// A place for one session at a time.
#[derive(Debug, Default)]
struct Lane {
    session: Option<Session>,
    /// As the how-manieth its session was opened.
    index: u64,
    /// Index of the address that its session tries.
    address: usize,
    /// When the next session is opened.
    open_at: Option<Instant>,
}

/// A run over connections that is ready to start.
#[derive(Debug)]
pub struct Attack {
    /// Ends it early.
    pub interrupt: Arc<Interrupt>,
    plan: Plan,
    poller: Poller,
    lanes: Vec<Lane>,
    shared: Shared,
    prober: Option<Prober>,
    next_index: u64,
    /// Index of the address in use.
    target: usize,
    /// The lane that is next to send what the rate allows.
    turn: usize,
    observed: Observed,
}

impl Attack {
    /// Prepares the run; nothing is sent yet.
    ///
    /// # Errors
    /// That the recording cannot be created, or a descriptor could not be had.
    pub fn new(plan: Plan) -> io::Result<Self> {
        let raw = plan.connections == 1 && !plan.follow;
        let recording = plan
            .recording
            .as_ref()
            .map(|keep| keep.begin(raw, plan.keep));
        let shared = Shared {
            started: Instant::now(),
            budget: Budget::new(plan.bytes, plan.rate),
            recording: recording.transpose()?,
            replies: vec![0; REPLY_BYTES],
            over: false,
            source_ended: false,
            lines_sent: 0,
            bytes_received: 0,
            lines_received: 0,
        };
        let poller = Poller::new()?;
        let interrupt = Interrupt::new()?;
        poller.add(interrupt.waker().as_ref(), WAKER, Interest::Edge)?;
        if let Some(feed) = plan.feed() {
            poller.add(feed.waker(), FEED, Interest::Edge)?;
        }
        Ok(Self {
            interrupt: Arc::new(interrupt),
            poller,
            lanes: Vec::new(),
            shared,
            prober: None,
            next_index: 0,
            target: 0,
            turn: 0,
            observed: Observed::default(),
            plan,
        })
    }

    /// Sends until the run is over and tells what was seen.
    ///
    /// # Errors
    /// That the source or the recording failed, or the poller did. What the target does
    /// is no error.
    pub fn run(mut self) -> io::Result<FuzzRecord> {
        let started_mono_ns = mono_ns();
        self.shared.started = Instant::now();
        for lane in 0..usize::try_from(self.plan.connections).unwrap_or(usize::MAX) {
            self.lanes.push(Lane::default());
            self.open(lane)?;
        }
        let mut events = Events::new();
        let mut next_tick = Instant::now() + TICK;
        while self.is_busy() && !self.interrupt.is_asked() && self.observed.ended_by.is_none() {
            self.poller
                .wait(&mut events, Some(self.timeout(next_tick)))?;
            for (token, readiness) in events.iter() {
                match token {
                    WAKER => self.hear_of_findings(),
                    FEED => {}
                    token => {
                        let lane = usize::try_from(token).expect("a lane's number");
                        self.step(lane, readiness.readable(), readiness.writable())?;
                    }
                }
            }
            self.resume_held_back()?;
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK;
                self.tick()?;
            }
        }
        let interrupted = self.is_busy() && self.observed.ended_by.is_none();
        for lane in 0..self.lanes.len() {
            self.end(lane, End::Interrupted);
        }
        let elapsed = self.shared.started.elapsed();
        if let Some(recording) = self.shared.recording.take() {
            recording.finish()?;
        }
        let probes = self.prober.take().map(|prober| {
            let (findings, probes) = prober.finish();
            for finding in findings {
                self.observed
                    .find(finding, self.shared.budget.sent(), Vec::new());
            }
            probes
        });
        if self.plan.last_look && !interrupted && self.observed.ended_by.is_none() {
            let target = self.plan.targets[self.target];
            self.observed.look_once_more(target, self.plan.hang_after);
        }
        Ok(Outcome {
            started_mono_ns,
            elapsed,
            interrupted,
            over: self.shared.over,
            source_ended: self.shared.source_ended,
            bytes_sent: self.shared.budget.sent(),
            lines_sent: self.shared.lines_sent,
            bytes_received: self.shared.bytes_received,
            replies: self.shared.lines_received,
            probes,
            datagrams: None,
        }
        .into_record(self.plan, self.observed))
    }

    fn is_busy(&self) -> bool {
        let mut lanes = self.lanes.iter();
        lanes.any(|lane| lane.session.is_some() || lane.open_at.is_some())
    }

    /// Until the next tick, the next slice of the rate, or the next byte that is due.
    fn timeout(&self, next_tick: Instant) -> Duration {
        let sessions = || self.lanes.iter().filter_map(|lane| lane.session.as_ref());
        let slice = self.shared.budget.next_slice();
        let slice = slice.and_then(|after| self.shared.started.checked_add(after));
        let slice = slice.filter(|_| sessions().any(Session::is_held_back));
        let due = sessions().filter_map(Session::due).min();
        let next = [Some(next_tick), slice, due].into_iter().flatten().min();
        next.unwrap_or(next_tick)
            .saturating_duration_since(Instant::now())
    }

    fn hear_of_findings(&mut self) {
        let Some(prober) = &self.prober else { return };
        for finding in prober.findings() {
            let sessions = self.lanes.iter().filter_map(|lane| lane.session.as_ref());
            let open = sessions.map(Session::number).collect();
            self.observed.find(finding, self.shared.budget.sent(), open);
        }
    }

    /// Starts the lane's next session, if there is one.
    fn open(&mut self, lane: usize) -> io::Result<()> {
        self.lanes[lane].open_at = None;
        let Some(opening) = self.plan.opening(self.next_index) else {
            return Ok(());
        };
        self.lanes[lane].index = self.next_index;
        self.next_index += 1;
        self.connect(lane, &opening)
    }

    /// Connects the lane's session, from its first byte on.
    fn connect(&mut self, lane: usize, opening: &Opening) -> io::Result<()> {
        let number = opening.number;
        let bytes = self.plan.stream(self.lanes[lane].index, number)?;
        loop {
            self.lanes[lane].open_at = None;
            self.lanes[lane].address = self.target;
            let error = match net::start_connect(self.plan.targets[self.target]) {
                Ok(fd) => {
                    self.poller.add(&fd, lane as u64, Session::FIRST_INTEREST)?;
                    let session = Session::new(fd, number, bytes, opening.script);
                    self.lanes[lane].session = Some(session);
                    return Ok(());
                }
                Err(error) => error,
            };
            if !self.has_another_address(lane) {
                let end = End::of_connect(&error);
                self.observed
                    .end(Session::never_connected(number, end), end);
                self.after(lane, end);
                return Ok(());
            }
        }
    }

    /// Whether the lane may try an address that it has not tried. A name may have some at
    /// which nobody listens; as soon as one took us, that is the target's.
    fn has_another_address(&mut self, lane: usize) -> bool {
        let tried = self.lanes[lane].address;
        let more = tried + 1 < self.plan.targets.len() && !self.observed.was_connected();
        if tried == self.target && more {
            self.target += 1;
        }
        tried < self.target
    }

    fn step(&mut self, lane: usize, readable: bool, writable: bool) -> io::Result<()> {
        let Some(session) = &mut self.lanes[lane].session else {
            return Ok(());
        };
        let connecting = !session.is_connected();
        let step = session.step(readable, writable, &mut self.shared)?;
        if connecting && session.is_connected() {
            self.observed.count(CONNECTED);
            self.begin_to_probe()?;
        }
        let Some(session) = &self.lanes[lane].session else {
            return Ok(());
        };
        match step {
            Step::Waits => {}
            Step::Watch(interest) => self.poller.modify(session.fd(), lane as u64, interest)?,
            Step::Ended(End::Refused | End::ConnectFailed) if self.has_another_address(lane) => {
                self.lanes[lane].session = None;
                if let Some(opening) = self.plan.opening(self.lanes[lane].index) {
                    self.connect(lane, &opening)?;
                }
            }
            Step::Ended(end) => self.end(lane, end),
        }
        Ok(())
    }

    /// Begins to probe as soon as it is known which of its addresses is the target's.
    fn begin_to_probe(&mut self) -> io::Result<()> {
        if self.prober.is_none()
            && let Some(probe) = &self.plan.probe
        {
            let waker = Arc::clone(self.interrupt.waker());
            let target = self.plan.targets[self.target];
            self.prober = Some(Prober::start(probe.clone(), target, waker)?);
        }
        Ok(())
    }

    /// Ends the lane's session, if it has one.
    fn end(&mut self, lane: usize, end: End) {
        self.lanes[lane].open_at = None;
        if let Some(session) = self.lanes[lane].session.take() {
            self.observed.end(session.record(end), end);
            self.after(lane, end);
        }
    }

    /// Decides what follows a session that has ended.
    fn after(&mut self, lane: usize, end: End) {
        if let Some(prober) = self.prober.as_ref().filter(|_| end.is_suspicious()) {
            prober.ask();
        }
        let stream_ended = self.shared.source_ended && self.plan.feed().is_some();
        let goes_on = self.plan.follow
            && self.observed.was_connected()
            && end != End::Interrupted
            && !self.observed.target_gone
            && !self.shared.over
            && !self.shared.budget.is_spent()
            && !stream_ended
            && self.plan.opening(self.next_index).is_some();
        if goes_on {
            let pause = if end == End::Finished {
                Duration::ZERO
            } else {
                self.plan.pause
            };
            self.lanes[lane].open_at = Some(Instant::now() + pause);
        }
    }

    /// Lets sessions go on that waited for the rate or for their source.
    fn resume_held_back(&mut self) -> io::Result<()> {
        self.turn += 1;
        for offset in 0..self.lanes.len() {
            let lane = (self.turn + offset) % self.lanes.len();
            let session = self.lanes[lane].session.as_ref();
            if session.is_some_and(Session::is_held_back) {
                self.step(lane, false, false)?;
            }
            if self.lanes[lane]
                .open_at
                .is_some_and(|due| due <= Instant::now())
            {
                self.open(lane)?;
            }
        }
        Ok(())
    }

    fn tick(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if now - self.shared.started >= self.plan.duration {
            self.shared.over = true;
            for lane in &mut self.lanes {
                lane.open_at = None;
            }
        }
        for lane in 0..self.lanes.len() {
            let Some(session) = &self.lanes[lane].session else {
                continue;
            };
            let late = (now - self.shared.started).saturating_sub(self.plan.duration);
            if self.shared.over && late >= self.plan.hang_after {
                // A target that sends without end would keep it from ending for ever.
                self.end(lane, End::Interrupted);
            } else if let Some(end) = session.gave_up(now, self.plan.hang_after) {
                // Whether the target hangs is what probes tell, if there are any.
                let answered = end == End::Hung && self.prober.is_some();
                self.end(lane, if answered { End::Silent } else { end });
            } else if self.shared.over && session.is_connected() {
                // A session that cannot send has to hear of it as well.
                self.step(lane, false, true)?;
            }
        }
        Ok(())
    }
}
