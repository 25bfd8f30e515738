//! Whether this machine stood still: a silence of that time is nobody's fault.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::probe::{Outcome, Probe};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(10);

/// Whoever wakes up so much too late did not merely wait for a processor.
const LATE: Duration = Duration::from_millis(50);

/// A silence of which this share was a standstill tells nothing.
const LOST_SHARE: u32 = 4;

/// A thread that wakes up again and again, and adds up by how much it came too late. It ends
/// with this.
#[derive(Debug)]
pub struct Stalls {
    lost_us: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Stalls {
    /// Begins to look.
    #[must_use]
    pub fn watch() -> Self {
        let stalls = Self {
            lost_us: Arc::default(),
            over: Arc::default(),
        };
        let (lost_us, over) = (Arc::clone(&stalls.lost_us), Arc::clone(&stalls.over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let before = Instant::now();
                std::thread::sleep(TICK);
                let late = before.elapsed().saturating_sub(TICK);
                if late > LATE {
                    let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
                    lost_us.fetch_add(late, Ordering::Relaxed);
                }
            }
        });
        stalls
    }

    /// Asks; an answer that did not come in time because nothing on this machine went on is
    /// a failure of ours.
    #[must_use]
    pub fn ask(&self, probe: &Probe, at: SocketAddr) -> Outcome {
        self.excuse(probe.patience, || probe.ask(at))
    }

    fn excuse(&self, patience: Duration, ask: impl FnOnce() -> Outcome) -> Outcome {
        let (before, started) = (self.lost(), Instant::now());
        let outcome = ask();
        let is_answer = matches!(outcome, Outcome::Answered(..));
        if is_answer || started.elapsed() < patience {
            return outcome;
        }
        // After a standstill, this thread may be the first to wake up.
        std::thread::sleep(TICK * 2);
        let lost = self.lost().saturating_sub(before);
        if lost > patience / LOST_SHARE {
            return Outcome::Failed(format!("this machine stood still for {lost:?}"));
        }
        outcome
    }

    fn lost(&self) -> Duration {
        Duration::from_micros(self.lost_us.load(Ordering::Relaxed))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_in_a_standstill_is_no_silence_of_the_target() {
        let stalls = Stalls {
            lost_us: Arc::default(),
            over: Arc::default(),
        };
        let patience = Duration::from_millis(1);
        let asked = |lost_us: u64, outcome: Outcome| {
            stalls.excuse(patience, || {
                std::thread::sleep(patience);
                stalls.lost_us.fetch_add(lost_us, Ordering::Relaxed);
                outcome
            })
        };
        assert_eq!(asked(0, Outcome::Silent), Outcome::Silent);
        assert_eq!(asked(250, Outcome::Silent), Outcome::Silent);
        for late in [Outcome::Silent, Outcome::Wrong(b"ACK 1".to_vec())] {
            assert!(matches!(asked(251, late), Outcome::Failed(_)));
        }
        let answered = Outcome::Answered(patience, Vec::new());
        assert_eq!(asked(251, answered.clone()), answered);
        let at_once = stalls.excuse(Duration::MAX, || Outcome::Refused);
        assert_eq!(at_once, Outcome::Refused);
    }
}
