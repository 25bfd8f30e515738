//! Asking processes again and again whether they live, while garbage is sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fuzzclient::probe::Probe;
use fuzzclient::stalls::Stalls;
use fuzzclient::watch::Watch;

use super::life::{Note, Sink};

/// Between two probes, while all is well.
const EVERY: Duration = Duration::from_millis(50);

/// Between two probes when the last was not answered.
const SOON: Duration = Duration::from_millis(20);

/// Between two looks whether it is over.
const LOOK: Duration = Duration::from_millis(5);

/// Threads that probe. They end with this.
#[derive(Debug, Default)]
pub struct Watchers {
    over: Arc<AtomicBool>,
    /// Of each process, in their order.
    counts: Vec<Arc<Counts>>,
}

/// How many probes there were of a process.
#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    slowest_us: AtomicU64,
}

impl Watchers {
    /// Begins to probe a process, and says what is found.
    pub fn watch(&mut self, place: usize, probe: Probe, at: SocketAddr, sink: Sink) {
        let (over, counts) = (Arc::clone(&self.over), Arc::new(Counts::default()));
        self.counts.push(Arc::clone(&counts));
        std::thread::spawn(move || {
            let stalls = Stalls::watch();
            let mut watch = Watch::new(probe.slow_after);
            while !over.load(Ordering::Relaxed) {
                counts.made.fetch_add(1, Ordering::Relaxed);
                let found = watch.see(&stalls.ask(&probe, at));
                let slowest = u64::try_from(watch.slowest.as_micros()).unwrap_or(u64::MAX);
                counts.slowest_us.fetch_max(slowest, Ordering::Relaxed);
                if let Some(found) = found {
                    let ends = found.ends_the_run;
                    if sink.send(Note::Found(place, found)).is_err() || ends {
                        return;
                    }
                }
                let pause = if watch.is_suspicious() { SOON } else { EVERY };
                let next = Instant::now() + pause;
                while Instant::now() < next && !over.load(Ordering::Relaxed) {
                    std::thread::sleep(LOOK);
                }
            }
        });
    }

    /// How many probes were made, and how long the slowest answer took.
    #[must_use]
    pub fn counts(&self) -> (u64, Duration) {
        let made = self
            .counts
            .iter()
            .map(|counts| counts.made.load(Ordering::Relaxed))
            .sum();
        let slowest = self
            .counts
            .iter()
            .map(|counts| counts.slowest_us.load(Ordering::Relaxed))
            .max();
        (made, Duration::from_micros(slowest.unwrap_or(0)))
    }
}

impl Drop for Watchers {
    /// A probe that is under way ends in its own time: nobody listens to it any more.
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
