//! A crew whose workers show on meters how far they are: bulk transfers and one-way load.
//!
//! The meters are looked at once for each slice, so a worker has nothing to hand over
//! while it works; what it came to it reports at its end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use service::clock::mono_ns;

use crate::crew::{CrewError, Observer, gone};
use crate::histograms::{self, encode};
use crate::outcome::{seconds, unix_ms};
use crate::record::Interval;
use crate::start;
use crate::stop::StopFlag;
use crate::tally::ConnectTally;
use crate::timeline::{Phase, Slice, Timeline};

/// Longest wait: a request to stop is seen within this time.
const LONGEST_WAIT_NS: u64 = 20_000_000;

/// What a worker has done so far, for whoever looks while the run goes on.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Messages written.
    pub(crate) sent: AtomicU64,
    /// Messages that could not be.
    pub(crate) failed: AtomicU64,
    /// Bytes written.
    pub(crate) bytes_sent: AtomicU64,
    /// Bytes read.
    pub(crate) bytes_received: AtomicU64,
}

/// What a worker reports.
pub(crate) enum FromWorker<D> {
    /// It has opened what it could.
    Opened { open: usize, connects: ConnectTally },
    /// It is done.
    Done(Box<D>),
    /// It cannot go on.
    Failed(io::Error),
}

/// A worker's end of the channels: where it reports, and where it hears of the start.
pub(crate) struct ToCrew<D> {
    pub(crate) reports: Sender<FromWorker<D>>,
    /// Its sender is gone when the run was called off.
    pub(crate) start: Receiver<Timeline>,
}

/// A worker's part of a run.
pub(crate) trait Done: Send + 'static {
    /// When it was over for this worker.
    fn ended(&self) -> u64;
}

/// What the crew saw.
pub(crate) struct Seen<D> {
    /// When the phases began.
    pub(crate) timeline: Timeline,
    /// The workers' parts.
    pub(crate) done: Vec<D>,
    /// The run in slices.
    pub(crate) intervals: Vec<Interval>,
    /// When the last worker was over.
    pub(crate) last: u64,
    /// When measuring began, on the wall clock.
    pub(crate) started_unix_ms: u64,
    /// By how much later than its start it was ready.
    pub(crate) late_ns: u64,
}

/// A worker, ready to run on its thread.
pub(crate) trait Worker: Send + 'static {
    type Done: Done;

    /// Opens its connections, waits for the start, works, and reports.
    fn run(self, crew: &ToCrew<Self::Done>) -> io::Result<()>;
}

/// Starts as many workers as `threads`, lets them run to their end or until `stop` is set,
/// and tells `observer` of it. They start at `start_unix_ns`, or at once. `hire` makes a worker, `plan` says when the phases of a run
/// are that starts at this moment.
///
/// # Errors
/// That no connection could be opened, or that a worker could not go on.
pub(crate) fn run<W: Worker>(
    threads: usize,
    start_unix_ns: Option<u64>,
    plan: impl FnOnce(u64) -> Timeline,
    mut hire: impl FnMut(usize, Arc<Meter>) -> io::Result<W>,
    stop: &StopFlag,
    observer: &mut dyn Observer,
) -> Result<Seen<W::Done>, CrewError> {
    let (to_crew, inbox) = mpsc::channel();
    let (mut starts, mut meters) = (vec![], vec![]);
    for index in 0..threads {
        let (start, started) = mpsc::channel();
        let meter = Arc::new(Meter::default());
        let worker = hire(index, meter.clone())?;
        let crew = ToCrew {
            reports: to_crew.clone(),
            start: started,
        };
        std::thread::Builder::new()
            .name(format!("load-{index}"))
            .spawn(move || {
                if let Err(error) = worker.run(&crew) {
                    let _ = crew.reports.send(FromWorker::Failed(error));
                }
            })?;
        starts.push(start);
        meters.push(meter);
    }
    drop(to_crew);
    let (open, connects) = wait_opened(&inbox, threads)?;
    if open == 0 {
        return Err(CrewError::NothingOpened(Box::new(connects)));
    }
    observer.opened(open, connects.failed_total());
    let started = start::wait(start_unix_ns, stop, observer).ok_or(CrewError::CalledOff)?;
    let timeline = plan(started.mono_ns);
    for worker in &starts {
        let _ = worker.send(timeline);
    }
    let seen = watch(timeline, &inbox, &meters, stop, observer)?;
    Ok(Seen {
        late_ns: started.late_ns,
        ..seen
    })
}

fn wait_opened<D>(
    inbox: &Receiver<FromWorker<D>>,
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

/// Looks at the meters at the end of each slice until all workers are done.
fn watch<D: Done>(
    mut timeline: Timeline,
    inbox: &Receiver<FromWorker<D>>,
    meters: &[Arc<Meter>],
    stop: &StopFlag,
    observer: &mut dyn Observer,
) -> Result<Seen<D>, CrewError> {
    let mut slices = Slices {
        slice: timeline.first(),
        began: timeline.start,
        before: Reading::default(),
        intervals: vec![],
    };
    let mut announced = false;
    let mut done: Vec<D> = vec![];
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
    let last = done.iter().map(Done::ended).max().unwrap_or(0);
    if slices.slice.phase != Phase::Drain {
        slices.cut(last.max(slices.began + 1), meters, observer);
    } else {
        slices.add_late(meters);
    }
    let since_start_ns = mono_ns().saturating_sub(timeline.measure_from);
    Ok(Seen {
        timeline,
        done,
        intervals: slices.intervals,
        last,
        started_unix_ms: unix_ms().saturating_sub(since_start_ns / 1_000_000),
        late_ns: 0,
    })
}

/// What all meters together show.
#[derive(Clone, Copy, Default)]
struct Reading {
    sent: u64,
    failed: u64,
    bytes_sent: u64,
    bytes_received: u64,
}

impl Reading {
    fn of(meters: &[Arc<Meter>]) -> Self {
        let sum = |of: fn(&Meter) -> &AtomicU64| {
            let values = meters.iter().map(|meter| of(meter).load(Ordering::Relaxed));
            values.sum::<u64>()
        };
        Self {
            sent: sum(|meter| &meter.sent),
            failed: sum(|meter| &meter.failed),
            bytes_sent: sum(|meter| &meter.bytes_sent),
            bytes_received: sum(|meter| &meter.bytes_received),
        }
    }
}

struct Slices {
    slice: Slice,
    /// When the slice at hand was begun to be looked at, and what the meters showed.
    began: u64,
    before: Reading,
    intervals: Vec<Interval>,
}

impl Slices {
    /// Ends the slice at hand at `now`: what the meters show was done until then.
    fn cut(&mut self, now: u64, meters: &[Arc<Meter>], observer: &mut dyn Observer) {
        let (before, reading) = (self.before, Reading::of(meters));
        let interval = Interval {
            start_mono_ns: self.began,
            length_s: seconds(now.saturating_sub(self.began)),
            warmup: self.slice.phase == Phase::Warmup,
            // What was written may be known later not to have got through.
            sent: reading.sent.saturating_sub(before.sent),
            failed: reading.failed - before.failed,
            bytes_sent: reading.bytes_sent.saturating_sub(before.bytes_sent),
            bytes_received: reading.bytes_received - before.bytes_received,
            response: encode(&histograms::empty()),
            ..Interval::default()
        };
        self.before = reading;
        self.began = now;
        observer.slice(&interval, &histograms::empty());
        self.intervals.push(interval);
    }

    /// What was due by the end and written later than that belongs to the last slice.
    fn add_late(&mut self, meters: &[Arc<Meter>]) {
        let (before, reading) = (self.before, Reading::of(meters));
        if let Some(last) = self.intervals.last_mut()
            && reading.sent > before.sent
        {
            last.sent += reading.sent - before.sent;
            last.failed += reading.failed - before.failed;
            last.bytes_sent += reading.bytes_sent.saturating_sub(before.bytes_sent);
        }
    }
}
