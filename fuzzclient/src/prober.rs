//! Probing again and again, on a thread of its own: a probe waits for its answer, and the
//! sessions must not.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventloop::Waker;

use crate::observed::Finding;
use crate::probe::{Outcome, Probe};
use crate::record::Probes;
use crate::stalls::Stalls;
use crate::watch::Watch;
use service::clock::mono_ns;

/// Between two probes, while all is well.
const EVERY: Duration = Duration::from_millis(100);

/// Between two probes when the last was not answered.
const SOON: Duration = Duration::from_millis(20);

/// What the thread has found, for the loop to take.
#[derive(Debug, Default)]
struct Board {
    findings: Vec<Finding>,
    probes: Probes,
}

/// A thread that probes. It ends with this.
#[derive(Debug)]
pub(crate) struct Prober {
    board: Arc<Mutex<Board>>,
    /// A word on it is a probe at once; its end is the end of the thread.
    asks: Option<Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Prober {
    /// Begins to probe, and wakes the loop when something is found.
    ///
    /// # Errors
    /// That there is no thread to be had.
    pub(crate) fn start(probe: Probe, target: SocketAddr, waker: Arc<Waker>) -> io::Result<Self> {
        let board = Arc::new(Mutex::new(Board::default()));
        let (asks, asked) = channel();
        let its = Arc::clone(&board);
        let thread = std::thread::Builder::new()
            .name("probe".to_owned())
            .spawn(move || run(&probe, target, &its, &asked, &waker))?;
        Ok(Self {
            board,
            asks: Some(asks),
            thread: Some(thread),
        })
    }

    /// Probes at once: something is amiss.
    pub(crate) fn ask(&self) {
        if let Some(asks) = &self.asks {
            let _ = asks.send(());
        }
    }

    /// What was found since the last look.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        std::mem::take(
            &mut self
                .board
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .findings,
        )
    }

    /// Ends, after a last probe, and tells what was found by it and how many there were.
    pub(crate) fn finish(mut self) -> (Vec<Finding>, Probes) {
        self.end();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut board.findings), board.probes)
    }

    fn end(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(
    probe: &Probe,
    target: SocketAddr,
    board: &Mutex<Board>,
    asked: &Receiver<()>,
    waker: &Waker,
) {
    let stalls = Stalls::watch();
    let mut watch = Watch::new(probe.slow_after);
    let mut last = false;
    loop {
        let outcome = stalls.ask(probe, target);
        let found = watch.see(&outcome);
        // A last one that was not answered is not the last: it is asked until that is clear.
        let over = found.as_ref().is_some_and(|found| found.ends_the_run)
            || last && (!watch.is_suspicious() || matches!(outcome, Outcome::Failed(_)));
        {
            let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
            board.probes = Probes {
                made: watch.made,
                answered: watch.answered,
                slowest_us: u64::try_from(watch.slowest.as_micros()).unwrap_or(u64::MAX),
            };
            if let Some(found) = found {
                board.findings.push(Finding {
                    found,
                    mono_ns: mono_ns(),
                });
                waker.wake();
            }
        }
        if over {
            return;
        }
        let pause = if watch.is_suspicious() { SOON } else { EVERY };
        if last {
            std::thread::sleep(SOON);
            continue;
        }
        match asked.recv_timeout(pause) {
            Ok(()) => while asked.try_recv().is_ok() {},
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => last = true,
        }
    }
}
