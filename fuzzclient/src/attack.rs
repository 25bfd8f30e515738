//! Opening sessions and driving them, on one thread, until the run is over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eventloop::{Events, Interest, Poller, Waker, net};
use service::clock::mono_ns;

use crate::budget::Budget;
use crate::generate::{ByteStream, Source};
use crate::observed::{CONNECTED, Observed};
use crate::plan::Plan;
use crate::record::{FuzzRecord, SCHEMA_VERSION};
use crate::recording::Recording;
use crate::session::{End, Session, Shared, Step};

const WAKER: u64 = u64::MAX;
const FEED: u64 = u64::MAX - 1;

/// How often time limits are looked at.
const TICK: Duration = Duration::from_millis(10);

/// How long to wait with the next session when the target cut the last one short: a
/// target that closes at once is not to be drowned in connections instead of garbage.
const PAUSE: Duration = Duration::from_millis(10);

/// Room for replies. They are counted and forgotten, so it need not hold all.
const REPLY_BYTES: usize = 256 * 1024;

/// Ends a run from another thread.
#[derive(Debug)]
pub struct Interrupt {
    asked: AtomicBool,
    waker: Waker,
}

impl Interrupt {
    /// Ends the run now.
    pub fn now(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

/// A place for one session at a time.
#[derive(Debug, Default)]
struct Lane {
    session: Option<Session>,
    /// The number of its session.
    number: u64,
    /// Index of the address that its session tries.
    address: usize,
    /// When the next session is opened.
    open_at: Option<Instant>,
}

/// A run that is ready to start.
#[derive(Debug)]
pub struct Attack {
    /// Ends it early.
    pub interrupt: Arc<Interrupt>,
    plan: Plan,
    poller: Poller,
    lanes: Vec<Lane>,
    shared: Shared,
    next_number: u64,
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
        let raw = plan.connections == 1 && !plan.until_crash;
        let recording = plan
            .recording
            .as_ref()
            .map(|path| Recording::create(path, raw));
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
        let waker = Waker::new()?;
        poller.add(&waker, WAKER, Interest::Edge)?;
        if let Some(Source::Stream(feed)) = &plan.source {
            poller.add(feed.waker(), FEED, Interest::Edge)?;
        }
        Ok(Self {
            interrupt: Arc::new(Interrupt {
                asked: AtomicBool::new(false),
                waker,
            }),
            poller,
            lanes: Vec::new(),
            shared,
            next_number: plan.first_connection,
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
        while self.is_busy() && !self.interrupt.is_asked() {
            self.poller
                .wait(&mut events, Some(self.timeout(next_tick)))?;
            for (token, readiness) in events.iter() {
                match token {
                    WAKER | FEED => {}
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
        let interrupted = self.is_busy();
        for lane in 0..self.lanes.len() {
            self.end(lane, End::Interrupted);
        }
        let elapsed = self.shared.started.elapsed();
        if let Some(recording) = self.shared.recording.take() {
            recording.finish()?;
        }
        if !interrupted {
            let target = self.plan.targets[self.target];
            self.observed.look_once_more(target, self.plan.hang_after);
        }
        Ok(self.into_record(started_mono_ns, elapsed, interrupted))
    }

    fn is_busy(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| lane.session.is_some() || lane.open_at.is_some())
    }

    fn timeout(&self, next_tick: Instant) -> Duration {
        let slice = self.shared.budget.next_slice();
        let slice = slice.and_then(|after| self.shared.started.checked_add(after));
        let slice = slice.filter(|_| self.is_held_back());
        let next = slice.map_or(next_tick, |slice| slice.min(next_tick));
        next.saturating_duration_since(Instant::now())
    }

    fn is_held_back(&self) -> bool {
        self.lanes
            .iter()
            .flat_map(|lane| &lane.session)
            .any(Session::is_held_back)
    }

    /// Starts the lane's next session.
    fn open(&mut self, lane: usize) -> io::Result<()> {
        self.lanes[lane].number = self.next_number;
        self.next_number += 1;
        self.connect(lane)
    }

    /// Connects the lane's session, from its first byte on.
    fn connect(&mut self, lane: usize) -> io::Result<()> {
        let number = self.lanes[lane].number;
        let bytes = ByteStream::new(self.plan.generator(number)?);
        let quota = self.plan.quota(number);
        loop {
            self.lanes[lane].open_at = None;
            self.lanes[lane].address = self.target;
            let error = match net::start_connect(self.plan.targets[self.target]) {
                Ok(fd) => {
                    self.poller.add(&fd, lane as u64, Session::FIRST_INTEREST)?;
                    let session = Session::new(fd, number, bytes, quota);
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
        }
        match step {
            Step::Waits => {}
            Step::Watch(interest) => self.poller.modify(session.fd(), lane as u64, interest)?,
            Step::Ended(End::Refused | End::ConnectFailed) if self.has_another_address(lane) => {
                self.lanes[lane].session = None;
                self.connect(lane)?;
            }
            Step::Ended(end) => self.end(lane, end),
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
        let stream_ended =
            self.shared.source_ended && matches!(self.plan.source, Some(Source::Stream(_)));
        let goes_on = self.plan.until_crash
            && self.observed.was_connected()
            && end != End::Interrupted
            && !self.observed.target_gone
            && !self.shared.over
            && !self.shared.budget.is_spent()
            && !stream_ended;
        if goes_on {
            let pause = if end == End::Finished {
                Duration::ZERO
            } else {
                PAUSE
            };
            self.lanes[lane].open_at = Some(Instant::now() + pause);
        }
    }

    /// Lets sessions go on that waited for the rate or for their source.
    fn resume_held_back(&mut self) -> io::Result<()> {
        self.turn += 1;
        for offset in 0..self.lanes.len() {
            let lane = (self.turn + offset) % self.lanes.len();
            let waiting = self.lanes[lane]
                .session
                .as_ref()
                .is_some_and(Session::is_held_back);
            if waiting {
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
        if self
            .plan
            .duration
            .is_some_and(|duration| now - self.shared.started >= duration)
        {
            self.shared.over = true;
            for lane in &mut self.lanes {
                lane.open_at = None;
            }
        }
        for lane in 0..self.lanes.len() {
            let Some(session) = &self.lanes[lane].session else {
                continue;
            };
            if let Some(end) = session.gave_up(now, self.plan.hang_after) {
                self.end(lane, end);
            } else if self.shared.over && session.is_connected() {
                // A session that cannot send has to hear of it as well.
                self.step(lane, false, true)?;
            }
        }
        Ok(())
    }

    fn into_record(self, started_mono_ns: u64, elapsed: Duration, interrupted: bool) -> FuzzRecord {
        let stopped_by = self.stopped_by(interrupted).to_owned();
        FuzzRecord {
            schema_version: SCHEMA_VERSION,
            config: self.plan.config,
            seed: self.plan.seed,
            started_mono_ns,
            elapsed_s: elapsed.as_secs_f64(),
            stopped_by,
            bytes_sent: self.shared.budget.sent(),
            lines_sent: self.shared.lines_sent,
            bytes_received: self.shared.bytes_received,
            replies: self.shared.lines_received,
            sessions: self.observed.sessions(),
            observations: self.observed.counts,
            target_gone: self.observed.target_gone,
            datagrams: None,
        }
    }

    fn stopped_by(&self, interrupted: bool) -> &'static str {
        let all_sent = self
            .plan
            .bytes
            .is_some_and(|bytes| self.shared.budget.sent() >= bytes);
        if interrupted {
            "interrupted"
        } else if !self.observed.was_connected() {
            "unreachable"
        } else if all_sent {
            "bytes"
        } else if self.observed.target_gone {
            "crash"
        } else if self.shared.over {
            "duration"
        } else if self.shared.source_ended {
            "source_ended"
        } else {
            "closed_by_target"
        }
    }
}
