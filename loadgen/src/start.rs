//! When a run starts: as soon as all is open, or at a moment of the wall clock that other
//! machines start at as well.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use service::clock::mono_ns;

use crate::crew::Observer;
use crate::stop::StopFlag;

/// From the last connection's opening to the first slot: time for all workers to hear
/// of it.
const HEAD_START_NS: u64 = 3_000_000;

/// Before a moment of the wall clock, the workers hear of it this early: until then the
/// clock may still be corrected.
const LEAD_NS: u64 = 10_000_000;

/// Longest wait: a request to stop is seen within this time.
const LONGEST_WAIT_NS: u64 = 20_000_000;

/// A start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Started {
    /// The moment, in monotonic nanoseconds. Slot 0 is due then, even if that is past.
    pub(crate) mono_ns: u64,
    /// By how much later than that all was open.
    pub(crate) late_ns: u64,
}

/// All is open: waits until shortly before `at`, a moment in nanoseconds of the Unix epoch,
/// if there is one. None if it was asked to stop before.
pub(crate) fn wait(
    at: Option<u64>,
    stop: &StopFlag,
    observer: &mut dyn Observer,
) -> Option<Started> {
    let Some(at) = at else {
        return Some(Started {
            mono_ns: mono_ns() + HEAD_START_NS,
            late_ns: 0,
        });
    };
    let late_ns = unix_ns().saturating_sub(at);
    loop {
        if stop.is_set() {
            return None;
        }
        let left = at.saturating_sub(unix_ns());
        if left <= LEAD_NS {
            return Some(Started {
                mono_ns: monotonic(at),
                late_ns,
            });
        }
        observer.waiting(Duration::from_nanos(left));
        let wait = (left - LEAD_NS).min(LONGEST_WAIT_NS);
        std::thread::sleep(Duration::from_nanos(wait));
    }
}

/// Nanoseconds of the Unix epoch.
pub(crate) fn unix_ns() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// A moment of the wall clock on the monotonic one, as both go now.
fn monotonic(unix: u64) -> u64 {
    let (before, now, after) = (mono_ns(), unix_ns(), mono_ns());
    let mono = before + (after - before) / 2;
    // 0 is no moment: a run has not begun then.
    (mono + unix.saturating_sub(now))
        .saturating_sub(now.saturating_sub(unix))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histograms::Histogram;
    use crate::record::Interval;

    /// Remembers the longest wait, and asks to stop when it hears of one.
    struct Impatient(StopFlag, Option<Duration>);

    impl Observer for Impatient {
        fn opened(&mut self, _open: usize, _failed: u64) {}
        fn measuring(&mut self, _mono_ns: u64) {}
        fn slice(&mut self, _interval: &Interval, _response: &Histogram) {}

        fn waiting(&mut self, left: Duration) {
            self.1.get_or_insert(left);
            self.0.set();
        }
    }

    fn wait_for(at: Option<u64>) -> (Option<Started>, Option<Duration>) {
        let stop = StopFlag::default();
        let mut observer = Impatient(stop.clone(), None);
        let started = wait(at, &stop, &mut observer);
        (started, observer.1)
    }

    #[test]
    fn without_a_moment_it_starts_at_once() {
        let before = mono_ns();
        let (started, waited) = wait_for(None);
        let started = started.expect("a start");
        assert!(started.mono_ns > before && started.late_ns == 0);
        assert_eq!(waited, None);
    }

    #[test]
    fn a_moment_that_is_past_is_told_and_kept() {
        let (mono, unix) = (mono_ns(), unix_ns());
        let (started, _) = wait_for(Some(unix - 5_000_000));
        let started = started.expect("a start");
        assert!(started.late_ns >= 5_000_000, "{started:?}");
        assert!(started.mono_ns < mono, "{started:?} is not before {mono}");
        assert_eq!(wait_for(Some(1)).0.map(|one| one.mono_ns), Some(1));
    }

    #[test]
    fn who_is_asked_to_stop_does_not_start() {
        let (started, waited) = wait_for(Some(unix_ns() + 3_600_000_000_000));
        assert_eq!(started, None);
        assert!(waited.expect("a wait") > Duration::from_secs(3_590));
    }
}
