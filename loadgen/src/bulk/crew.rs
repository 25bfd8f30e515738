//! All workers of a bulk transfer, and what they come to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use service::clock::mono_ns;

use super::BulkPlan;
use super::judge::Judged;
use super::worker::{Done, FromWorker, Meter, Worker};
use crate::crew::{CrewError, Observer, gone};
use crate::histograms::{self, Histogram, encode};
use crate::outcome::{seconds, unix_ms};
use crate::plan::{Plan, nanos};
use crate::record::Interval;
use crate::stop::StopFlag;
use crate::tally::ConnectTally;
use crate::timeline::{Phase, Slice, Timeline};

/// From the last connection's opening to the first byte.
const HEAD_START_NS: u64 = 1_000_000;

/// Longest wait: a request to stop is seen within this time.
const LONGEST_WAIT_NS: u64 = 20_000_000;

/// What a bulk transfer came to.
pub(super) struct BulkOutcome {
    pub(super) judged: Judged,
    pub(super) connects: ConnectTally,
    pub(super) connect: Histogram,
    pub(super) handshake: Histogram,
    pub(super) intervals: Vec<Interval>,
    pub(super) started_unix_ms: u64,
    pub(super) started_mono_ns: u64,
    pub(super) measured_ns: u64,
    pub(super) warmup_ns: u64,
    /// Bytes written and read while measuring.
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) cpu_ns: u64,
    pub(super) busiest: f64,
}

/// Runs the transfer to its end, or until `stop` is set.
pub(super) fn run(
    plan: &Plan,
    bulk: &BulkPlan,
    stop: &StopFlag,
    observer: &mut dyn Observer,
) -> Result<BulkOutcome, CrewError> {
    let (to_crew, inbox) = mpsc::channel();
    let plan = Arc::new(plan.clone());
    let (mut starts, mut meters) = (vec![], vec![]);
    for index in 0..plan.threads {
        let (start, started) = mpsc::channel();
        let meter = Arc::new(Meter::default());
        let worker = Worker::new(index, plan.clone(), *bulk, stop.clone(), meter.clone())?;
        let to_crew = to_crew.clone();
        std::thread::Builder::new()
            .name(format!("bulk-{index}"))
            .spawn(move || {
                if let Err(error) = worker.run(&to_crew, &started) {
                    let _ = to_crew.send(FromWorker::Failed(error));
                }
            })?;
        starts.push(start);
        meters.push(meter);
    }
    drop(to_crew);
    let (open, connects) = wait_opened(&inbox, plan.threads)?;
    if open == 0 {
        return Err(CrewError::NothingOpened(Box::new(connects)));
    }
    observer.opened(open, connects.failed_total());
    let timeline = start(&plan, &starts);
    watch(&plan, timeline, &inbox, &meters, stop, observer)
}

fn wait_opened(
    inbox: &Receiver<FromWorker>,
    workers: usize,
) -> Result<(usize, ConnectTally), CrewError> {
    let mut all = 0;
    let mut tally = ConnectTally::default();
    for _ in 0..workers {
        match inbox.recv() {
            Ok(FromWorker::Opened { open, connects }) => {
                all += open;
                tally.add(&connects);
            }
            Ok(FromWorker::Failed(error)) => return Err(error.into()),
            Ok(FromWorker::Done(_)) | Err(_) => return Err(gone().into()),
        }
    }
    Ok((all, tally))
}

fn start(plan: &Plan, starts: &[Sender<Timeline>]) -> Timeline {
    let timeline = plan.timeline(mono_ns() + HEAD_START_NS);
    for worker in starts {
        let _ = worker.send(timeline);
    }
    timeline
}

/// Looks at the meters at the end of each slice until all workers are done.
fn watch(
    plan: &Plan,
    mut timeline: Timeline,
    inbox: &Receiver<FromWorker>,
    meters: &[Arc<Meter>],
    stop: &StopFlag,
    observer: &mut dyn Observer,
) -> Result<BulkOutcome, CrewError> {
    let mut slices = Slices {
        slice: timeline.first(),
        began: timeline.start,
        before: (0, 0),
        intervals: vec![],
    };
    let mut announced = false;
    let mut done: Vec<Done> = vec![];
    while done.len() < meters.len() {
        let now = mono_ns();
        if !announced && now >= timeline.measure_from {
            announced = true;
            observer.measuring(timeline.measure_from);
        }
        if let Some(stopped) = stop.at() {
            timeline.end = timeline.end.min(stopped);
            slices.slice.end = slices.slice.end.min(timeline.end.max(slices.slice.start));
        }
        while now >= slices.slice.end {
            slices.cut(now, meters, observer);
            slices.slice = timeline.after(&slices.slice);
        }
        let wait = slices.slice.end.saturating_sub(now).min(LONGEST_WAIT_NS);
        match inbox.recv_timeout(Duration::from_nanos(wait)) {
            Ok(FromWorker::Done(worker)) => done.push(*worker),
            Ok(FromWorker::Failed(error)) => return Err(error.into()),
            Ok(FromWorker::Opened { .. }) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(gone().into()),
        }
    }
    let last = done.iter().map(|worker| worker.ended).max().unwrap_or(0);
    if slices.slice.phase != Phase::Drain {
        slices.cut(last.max(slices.began + 1), meters, observer);
    }
    Ok(outcome(plan, timeline, done, slices.intervals, last))
}

struct Slices {
    slice: Slice,
    /// When the slice at hand was begun to be looked at, and what the meters showed.
    began: u64,
    before: (u64, u64),
    intervals: Vec<Interval>,
}

impl Slices {
    /// Ends the slice at hand at `now`: what the meters show was transferred until then.
    fn cut(&mut self, now: u64, meters: &[Arc<Meter>], observer: &mut dyn Observer) {
        let sum = |value: fn(&Meter) -> u64| meters.iter().map(|meter| value(meter)).sum::<u64>();
        let sent = sum(|meter| meter.sent.load(Ordering::Relaxed));
        let received = sum(|meter| meter.received.load(Ordering::Relaxed));
        let interval = Interval {
            start_mono_ns: self.began,
            length_s: seconds(now.saturating_sub(self.began)),
            warmup: self.slice.phase == Phase::Warmup,
            bytes_sent: sent - self.before.0,
            bytes_received: received - self.before.1,
            response: encode(&histograms::empty()),
            ..Interval::default()
        };
        self.before = (sent, received);
        self.began = now;
        observer.slice(&interval, &histograms::empty());
        self.intervals.push(interval);
    }
}

fn outcome(
    plan: &Plan,
    timeline: Timeline,
    workers: Vec<Done>,
    intervals: Vec<Interval>,
    last: u64,
) -> BulkOutcome {
    let counted = intervals.iter().filter(|interval| !interval.warmup);
    let measured_s: f64 = counted.clone().map(|interval| interval.length_s).sum();
    let since_start_ns = mono_ns().saturating_sub(timeline.measure_from);
    let mut all = BulkOutcome {
        judged: Judged::default(),
        connects: ConnectTally::default(),
        connect: histograms::empty(),
        handshake: histograms::empty(),
        sent: counted.clone().map(|interval| interval.bytes_sent).sum(),
        received: counted.map(|interval| interval.bytes_received).sum(),
        intervals,
        started_unix_ms: unix_ms().saturating_sub(since_start_ns / 1_000_000),
        started_mono_ns: timeline.measure_from,
        measured_ns: (measured_s * 1e9) as u64,
        warmup_ns: nanos(plan.warmup).min(last.saturating_sub(timeline.start)),
        cpu_ns: 0,
        busiest: 0.0,
    };
    for worker in workers {
        all.judged.add(&worker.judged);
        all.connects.add(&worker.connects);
        for (to, from) in [
            (&mut all.connect, &worker.connect),
            (&mut all.handshake, &worker.handshake),
        ] {
            to.add(from).expect("both have the same bounds");
        }
        all.cpu_ns += worker.load.cpu_ns;
        all.busiest = all.busiest.max(worker.load.busy);
    }
    all
}
