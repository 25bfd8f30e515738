//! All workers of a run: opening, start, slices, end.
//!
//! Workers report over one channel at the ends of slices only; what they report is
//! added up here, and told to an [`Observer`].

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use service::clock::mono_ns;

use crate::echoes::Echoes;
use crate::histograms::{self, Histogram};
use crate::judge::Replies;
use crate::kinds::Kinds;
use crate::load_meter::LoadMeter;
use crate::merge::Merge;
use crate::outcome::{Outcome, outcome};
use crate::payload::Payload;
use crate::plan::{Plan, Wire};
use crate::record::Interval;
use crate::slices::Slices;
use crate::start::{self, Started};
use crate::stop::StopFlag;
use crate::tally::{ConnectTally, Tally};
use crate::timeline::{Slice, Timeline};
use crate::udp::{self, Ledger};
use crate::worker::Worker;

/// What a worker reports.
pub(crate) enum FromWorker {
    /// It has opened what it could.
    Opened { open: usize, connects: ConnectTally },
    /// A slice is over.
    Slice(Box<SliceDone>),
    /// It is done.
    Done(Box<WorkerDone>),
    /// It cannot go on.
    Failed(io::Error),
}

/// One worker's part of a slice.
pub(crate) struct SliceDone {
    pub(crate) worker: usize,
    pub(crate) slice: Slice,
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) kinds: Kinds,
    pub(crate) connections: Connections,
    pub(crate) response: Histogram,
}

/// Connections of a slice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Connections {
    pub(crate) opened: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

impl Connections {
    /// Those of a whole run.
    pub(crate) fn of(tally: &ConnectTally) -> Self {
        Self {
            opened: tally.opened,
            completed: tally.completed,
            failed: tally.failed_total() + tally.broken_total(),
        }
    }

    /// Those since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            opened: self.opened - before.opened,
            completed: self.completed - before.completed,
            failed: self.failed - before.failed,
        }
    }

    /// Adds another worker's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.completed += other.completed;
        self.failed += other.failed;
    }
}

/// One worker's part of the run.
#[derive(Clone, Debug)]
pub(crate) struct WorkerDone {
    pub(crate) worker: usize,
    pub(crate) measured: Tally,
    pub(crate) connects: ConnectTally,
    pub(crate) service: Histogram,
    pub(crate) send_lag: Histogram,
    pub(crate) connect: Histogram,
    pub(crate) handshake: Histogram,
    pub(crate) ended: u64,
    pub(crate) sent_in_time: u64,
    pub(crate) waiting_at_end: u64,
    pub(crate) last_reply: u64,
    pub(crate) never_written: u64,
    pub(crate) missed: u64,
    pub(crate) load: LoadMeter,
    /// What datagrams came to, if they were what was sent.
    pub(crate) datagrams: Option<Box<Ledger>>,
}

/// Is told what happens while it happens.
pub trait Observer {
    /// All connections are open, or as many as could be opened.
    fn opened(&mut self, open: usize, failed: u64);
    /// All that is left is to wait this long for the start.
    fn waiting(&mut self, _left: Duration) {}
    /// Measuring has begun.
    fn measuring(&mut self, mono_ns: u64);
    /// A slice is over.
    fn slice(&mut self, interval: &Interval, response: &Histogram);
}

/// Why a run has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum CrewError {
    /// A thread or an event loop could not be had, or failed.
    #[error("worker failed: {0}")]
    Worker(#[from] io::Error),
    /// Nobody answers there.
    #[error("no connection could be opened: {}", reasons(.0))]
    NothingOpened(Box<ConnectTally>),
    /// It was asked to stop before it began.
    #[error("interrupted before the start")]
    CalledOff,
    /// The other shards did not come.
    #[error("--start-at together: {0}")]
    Apart(io::Error),
}

fn reasons(connects: &ConnectTally) -> String {
    let counts = crate::tally::counts(&Tally::default(), connects).connect_failed;
    let parts: Vec<_> = counts
        .iter()
        .map(|(kind, count)| format!("{kind} ({count}×)"))
        .collect();
    if parts.is_empty() {
        "interrupted".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Runs `plan` to its end, or until `stop` is set.
///
/// # Errors
/// That no connection could be opened, or that a worker could not go on.
pub fn run(
    plan: &Plan,
    stop: &StopFlag,
    observer: &mut dyn Observer,
) -> Result<Outcome, CrewError> {
    let crew = match plan.wire {
        Wire::Foo(verify) => {
            let payload = Arc::new(Payload::new(plan.seed, plan.payload));
            Crew::hire(plan, stop, |seat| {
                Worker::new(seat, Replies::new(verify, payload.clone()))
            })?
        }
        Wire::Echo(integrity) => Crew::hire(plan, stop, |seat| {
            Worker::new(seat, Echoes::new(integrity, plan.seed, plan.payload))
        })?,
        Wire::Datagrams(how) => Crew::hire(plan, stop, |seat| udp::Worker::new(seat, how))?,
    };
    let (open, connects) = crew.wait_opened()?;
    if open == 0 {
        return Err(CrewError::NothingOpened(Box::new(connects)));
    }
    observer.opened(open, connects.failed_total());
    let started = start::wait(plan.start_unix_ns, stop, observer).ok_or(CrewError::CalledOff)?;
    let timeline = crew.start(plan, started);
    let outcome = crew.collect(timeline, plan, stop, observer)?;
    crew.join()?;
    Ok(Outcome {
        late_ns: started.late_ns,
        ..outcome
    })
}

/// What a worker is hired with.
pub(crate) struct Seat {
    pub(crate) plan: Arc<Plan>,
    pub(crate) stop: StopFlag,
    /// Its number, and whom it reports to.
    pub(crate) slices: Slices,
}

/// A worker, ready to run on its thread.
pub(crate) trait Hand: Send + 'static {
    /// Opens what it sends over, reports, waits for the start, and works to the end.
    fn run(self, start: &Receiver<Timeline>) -> io::Result<()>;
}

struct Crew {
    workers: Vec<JoinHandle<()>>,
    starts: Vec<Sender<Timeline>>,
    spares: Vec<Sender<Histogram>>,
    inbox: Receiver<FromWorker>,
}

impl Crew {
    fn hire<W: Hand>(
        plan: &Plan,
        stop: &StopFlag,
        worker: impl Fn(Seat) -> io::Result<W>,
    ) -> io::Result<Self> {
        let (outbox, inbox) = mpsc::channel();
        let plan = Arc::new(plan.clone());
        let mut crew = Self {
            workers: vec![],
            starts: vec![],
            spares: vec![],
            inbox,
        };
        for index in 0..plan.threads {
            let (start, started) = mpsc::channel();
            let (spare, spares) = mpsc::channel();
            let _ = spare.send(histograms::empty());
            let to_crew = outbox.clone();
            let worker = worker(Seat {
                plan: plan.clone(),
                stop: stop.clone(),
                slices: Slices::new(index, outbox.clone(), spares),
            })?;
            let name = format!("load-{index}");
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                let watch = Watch(to_crew);
                if let Err(error) = worker.run(&started) {
                    let _ = watch.0.send(FromWorker::Failed(error));
                }
            })?;
            crew.workers.push(thread);
            crew.starts.push(start);
            crew.spares.push(spare);
        }
        Ok(crew)
    }

    fn wait_opened(&self) -> Result<(usize, ConnectTally), CrewError> {
        let mut all = 0;
        let mut tally = ConnectTally::default();
        for _ in 0..self.workers.len() {
            match self.inbox.recv() {
                Ok(FromWorker::Opened { open, connects }) => {
                    all += open;
                    tally.add(&connects);
                }
                Ok(FromWorker::Failed(error)) => return Err(error.into()),
                Ok(_) | Err(_) => return Err(gone().into()),
            }
        }
        Ok((all, tally))
    }

    fn start(&self, plan: &Plan, started: Started) -> Timeline {
        let timeline = plan.timeline(started.mono_ns);
        for worker in &self.starts {
            let _ = worker.send(timeline);
        }
        timeline
    }

    fn collect(
        &self,
        timeline: Timeline,
        plan: &Plan,
        stop: &StopFlag,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, CrewError> {
        let mut merge = Merge::new(self.workers.len());
        let mut done = Vec::new();
        let mut announced = false;
        while done.len() < self.workers.len() {
            if !announced && mono_ns() >= timeline.measure_from {
                announced = true;
                observer.measuring(timeline.measure_from);
            }
            let wait = if announced {
                Duration::from_secs(3600)
            } else {
                Duration::from_nanos(timeline.measure_from.saturating_sub(mono_ns()) + 1)
            };
            match self.inbox.recv_timeout(wait) {
                Ok(FromWorker::Slice(slice)) => {
                    let worker = slice.worker;
                    if let Some(empty) = merge.add(*slice) {
                        let _ = self.spares[worker].send(empty);
                    }
                }
                Ok(FromWorker::Done(worker)) => {
                    merge.worker_is_done(worker.worker);
                    done.push(*worker);
                }
                Ok(FromWorker::Failed(error)) => return Err(error.into()),
                Ok(FromWorker::Opened { .. }) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(gone().into()),
            }
            merge.report(observer);
        }
        Ok(outcome(timeline, plan, stop, &done, merge))
    }

    fn join(self) -> io::Result<()> {
        for worker in self.workers {
            worker.join().map_err(|_| gone())?;
        }
        Ok(())
    }
}

/// Reports a worker that panics, so that nobody waits for it.
struct Watch(Sender<FromWorker>);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.0.send(FromWorker::Failed(gone()));
        }
    }
}

pub(crate) fn gone() -> io::Error {
    io::Error::other("a worker thread ended without a word")
}
