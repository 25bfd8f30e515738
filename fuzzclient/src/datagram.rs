//! Sending datagrams, on one thread, until the run is over.
//!
//! Each is counted, and so is each of its lines, so that whoever keeps an account of lines
//! can account for these as well. Nobody answers, so that only a refusal is heard.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventloop::{Events, Interest, Poller};
use service::clock::mono_ns;

use crate::budget::Budget;
use crate::generate::{self, Ending, Next};
use crate::interrupt::Interrupt;
use crate::observed::Observed;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::prober::Prober;
use crate::record::{Datagrams, FuzzRecord, SessionRecord};
use crate::recording::Recording;
use crate::session::End;

const WAKER: u64 = u64::MAX;

/// How often limits are looked at while nothing is due.
const TICK: Duration = Duration::from_millis(10);

/// Datagrams between two looks at limits and signals.
const BATCH: u64 = 64;

/// A socket and what it sends.
struct Lane {
    number: u64,
    socket: UdpSocket,
    datagrams: Box<dyn generate::Datagrams>,
    /// Bytes that it may still send.
    quota: Option<u64>,
    sent: u64,
}

/// A run over datagrams that is ready to start.
pub struct Barrage {
    /// Ends it early.
    pub interrupt: Arc<Interrupt>,
    plan: Plan,
    target: SocketAddr,
    poller: Poller,
    lanes: Vec<Option<Lane>>,
    next_index: u64,
    /// Bytes, at no rate.
    bytes: Budget,
    /// Datagrams, without a limit.
    datagrams: Budget,
    recording: Option<Recording>,
    sums: Datagrams,
    lines_sent: u64,
    source_ended: bool,
    prober: Option<Prober>,
    observed: Observed,
}

impl Barrage {
    /// Prepares the run; nothing is sent yet.
    ///
    /// # Errors
    /// That the recording cannot be created, or a descriptor could not be had.
    pub fn new(plan: Plan) -> io::Result<Self> {
        let recording = plan.recording.as_ref();
        let recording = recording.map(|keep| keep.begin(false, plan.keep));
        let interrupt = Interrupt::new()?;
        let poller = Poller::new()?;
        poller.add(interrupt.waker().as_ref(), WAKER, Interest::Edge)?;
        Ok(Self {
            interrupt: Arc::new(interrupt),
            target: plan.targets[0],
            poller,
            lanes: Vec::new(),
            next_index: 0,
            bytes: Budget::new(plan.bytes, None),
            datagrams: Budget::new(None, plan.rate),
            recording: recording.transpose()?,
            sums: Datagrams::default(),
            lines_sent: 0,
            source_ended: false,
            prober: None,
            observed: Observed::default(),
            plan,
        })
    }

    /// Sends until the run is over and tells what was seen.
    ///
    /// # Errors
    /// That the source or the recording failed, or a socket could not be had. What the
    /// target does is no error.
    pub fn run(mut self) -> io::Result<FuzzRecord> {
        let (started, started_mono_ns) = (Instant::now(), mono_ns());
        for _ in 0..self.plan.connections {
            let lane = self.open()?;
            self.lanes.push(lane);
        }
        if let Some(probe) = &self.plan.probe {
            let waker = Arc::clone(self.interrupt.waker());
            self.prober = Some(Prober::start(probe.clone(), self.target, waker)?);
        }
        let mut events = Events::new();
        let is_over = |now: Instant, plan: &Plan| now - started >= plan.duration;
        while self.is_busy() && !self.interrupt.is_asked() && self.observed.ended_by.is_none() {
            let now = Instant::now();
            if is_over(now, &self.plan) {
                break;
            }
            let allowed = self.datagrams.allows(now - started, BATCH);
            let sent = self.send_some(allowed)?;
            self.hear_of_findings();
            if sent < BATCH {
                let next = self
                    .datagrams
                    .next_slice()
                    .and_then(|after| started.checked_add(after));
                let wait = next.map_or(TICK, |next| next.saturating_duration_since(Instant::now()));
                // Nothing at hand is another reason, which the clock does not end.
                let wait = if sent < allowed { TICK } else { wait.min(TICK) };
                self.poller.wait(&mut events, Some(wait))?;
            }
        }
        let interrupted = self.interrupt.is_asked();
        let end = if interrupted {
            End::Interrupted
        } else {
            End::Finished
        };
        for place in 0..self.lanes.len() {
            self.close(place, end, false)?;
        }
        let elapsed = started.elapsed();
        if let Some(recording) = self.recording.take() {
            recording.finish()?;
        }
        let probes = self.prober.take().map(|prober| {
            let (findings, probes) = prober.finish();
            for finding in findings {
                self.observed.find(finding, self.bytes.sent(), Vec::new());
            }
            probes
        });
        Ok(Outcome {
            started_mono_ns,
            elapsed,
            interrupted,
            over: is_over(Instant::now(), &self.plan),
            source_ended: self.source_ended,
            bytes_sent: self.bytes.sent(),
            lines_sent: self.lines_sent,
            bytes_received: 0,
            replies: 0,
            probes,
            datagrams: Some(self.sums),
        }
        .into_record(self.plan, self.observed))
    }

    fn is_busy(&self) -> bool {
        !self.bytes.is_spent() && self.lanes.iter().any(Option::is_some)
    }

    fn hear_of_findings(&mut self) {
        let Some(prober) = &self.prober else { return };
        for finding in prober.findings() {
            let open = self
                .lanes
                .iter()
                .flatten()
                .map(|lane| lane.number)
                .collect();
            self.observed.find(finding, self.bytes.sent(), open);
        }
    }

    /// The next socket, if there is one.
    fn open(&mut self) -> io::Result<Option<Lane>> {
        let index = self.next_index;
        let Some(opening) = self.plan.opening(index) else {
            return Ok(None);
        };
        self.next_index += 1;
        let from: SocketAddr = match self.target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(from)?;
        socket.connect(self.target)?;
        let datagrams = self.plan.datagrams(index, opening.number)?;
        let (number, quota) = (opening.number, opening.script.bytes);
        Ok(Some(Lane {
            number,
            socket,
            datagrams,
            quota,
            sent: 0,
        }))
    }

    /// Sends at most so many datagrams, of each socket in turn, and tells how many.
    fn send_some(&mut self, at_most: u64) -> io::Result<u64> {
        let mut datagram = Vec::new();
        let (mut sent, mut idle) = (0, 0);
        let mut place = 0;
        while sent < at_most && idle < self.lanes.len() && !self.bytes.is_spent() {
            place = (place + 1) % self.lanes.len();
            let Some(lane) = &mut self.lanes[place] else {
                idle += 1;
                continue;
            };
            let kind = match lane.datagrams.next(&mut datagram)? {
                Next::NotYet => {
                    idle += 1;
                    continue;
                }
                Next::End => {
                    self.source_ended = true;
                    self.close(place, End::Finished, true)?;
                    continue;
                }
                Next::Datagram(kind) => kind,
            };
            idle = 0;
            sent += 1;
            // Limits are met to the byte.
            let left = self.bytes.allows(Duration::ZERO, datagram.len() as u64);
            let left = lane.quota.map_or(left, |quota| quota.min(left));
            datagram.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.send(place, &datagram, kind)?;
        }
        Ok(sent)
    }

    fn send(&mut self, place: usize, datagram: &[u8], kind: &str) -> io::Result<()> {
        let Some(lane) = &mut self.lanes[place] else {
            return Ok(());
        };
        let mut outcome = lane.socket.send(datagram);
        if outcome
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        {
            // That an earlier one came back says nothing about this one.
            self.observed.count(End::Refused.kind());
            self.prober.iter().for_each(Prober::ask);
            outcome = lane.socket.send(datagram);
        }
        self.datagrams.spend(1);
        if outcome.is_err() {
            self.sums.not_sent += 1;
            return Ok(());
        }
        let (bytes, lines) = (datagram.len() as u64, generate::lines_in(datagram));
        self.sums.sent += 1;
        self.sums.lines += lines;
        self.sums.most_lines = self.sums.most_lines.max(lines);
        *self.sums.kinds.entry(kind.to_owned()).or_insert(0) += 1;
        self.lines_sent += memchr::memchr_iter(b'\n', datagram).count() as u64;
        self.bytes.spend(bytes);
        lane.sent += bytes;
        if let Some(recording) = &mut self.recording {
            recording.keep(lane.number, datagram)?;
        }
        if let Some(quota) = &mut lane.quota {
            *quota -= bytes;
            if *quota == 0 {
                self.close(place, End::Finished, true)?;
            }
        }
        Ok(())
    }

    /// Closes a socket, and opens the next in its place if there is to be one and `goes_on`.
    fn close(&mut self, place: usize, end: End, goes_on: bool) -> io::Result<()> {
        let Some(lane) = self.lanes[place].take() else {
            return Ok(());
        };
        let record = SessionRecord {
            connection: lane.number,
            bytes_sent: lane.sent,
            bytes_received: 0,
            end: end.kind().to_owned(),
            end_mono_ns: mono_ns(),
        };
        self.observed.end(record, end);
        if let Some(recording) = &mut self.recording {
            recording.end(lane.number, Ending::Close)?;
        }
        let goes_on = goes_on
            && self.plan.follow
            && !(self.source_ended && self.plan.feed().is_some())
            && !self.bytes.is_spent();
        if goes_on {
            self.lanes[place] = self.open()?;
        }
        Ok(())
    }
}
