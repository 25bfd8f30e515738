//! Messages per second over a true moving window.
//!
//! The totals are written down every 100 ms; a window's rate is the difference between
//! now and then. So a window is at most one such bucket off, and a message costs nothing.

use std::collections::VecDeque;
use std::time::Duration;

/// The grain of the windows.
pub(super) const BUCKET: Duration = Duration::from_millis(100);

/// Buckets that cover the longest window.
const BUCKETS: usize = 100;

/// Totals at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// Since the start of the process.
    pub(super) at: Duration,
    pub(super) requests: u64,
    pub(super) responses: u64,
}

/// Messages per second over the last second and the last ten.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) request_1s: f64,
    pub(super) request_10s: f64,
    pub(super) response_1s: f64,
    pub(super) response_10s: f64,
}

/// The totals of the last ten seconds.
#[derive(Debug, Default)]
pub(super) struct Windows(VecDeque<Sample>);

impl Windows {
    /// Writes a sample down; samples come in the order of their time.
    pub(super) fn record(&mut self, sample: Sample) {
        self.0.push_back(sample);
        while self.0.len() > BUCKETS + 1 {
            self.0.pop_front();
        }
    }

    /// The rates at `now`.
    pub(super) fn rates(&self, now: Sample) -> Rates {
        let since = |seconds: u64| {
            let window = Duration::from_secs(seconds);
            let start = self.at(now.at.saturating_sub(window));
            let per_second =
                |now: u64, then: u64| (now - then.min(now)) as f64 / window.as_secs_f64();
            (
                per_second(now.requests, start.requests),
                per_second(now.responses, start.responses),
            )
        };
        let (request_1s, response_1s) = since(1);
        let (request_10s, response_10s) = since(10);
        Rates {
            request_1s,
            request_10s,
            response_1s,
            response_10s,
        }
    }

    /// The totals at `moment`: the sample nearest to it. Before the first sample there
    /// was nothing.
    fn at(&self, moment: Duration) -> Sample {
        if moment.is_zero() {
            return Sample::default();
        }
        let nearest = self
            .0
            .iter()
            .min_by_key(|sample| sample.at.abs_diff(moment));
        nearest.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Totals of traffic that is `rate(t)` messages in the millisecond `t`.
    fn run(until_ms: u64, rate: impl Fn(u64) -> u64) -> (Windows, Sample, Vec<u64>) {
        let mut windows = Windows::default();
        let mut total = 0;
        let mut history = vec![0];
        for ms in 0..until_ms {
            if ms % 100 == 0 {
                let at = Duration::from_millis(ms);
                windows.record(Sample {
                    at,
                    requests: total,
                    responses: total,
                });
            }
            total += rate(ms);
            history.push(total);
        }
        let now = Sample {
            at: Duration::from_millis(until_ms),
            requests: total,
            responses: total,
        };
        (windows, now, history)
    }

    #[test]
    fn a_steady_rate_is_that_rate() {
        let (windows, now, _) = run(20_000, |_| 3);
        let rates = windows.rates(now);
        assert_eq!((rates.request_1s, rates.response_10s), (3_000.0, 3_000.0));
    }

    #[test]
    fn a_young_process_divides_by_the_whole_window() {
        let (windows, now, _) = run(500, |_| 1);
        let rates = windows.rates(now);
        assert_eq!((rates.request_1s, rates.request_10s), (500.0, 50.0));
    }

    #[test]
    fn after_a_silence_the_windows_are_empty() {
        let (windows, now, _) = run(30_000, |ms| u64::from(ms < 15_000));
        assert_eq!(windows.rates(now), Rates::default());
    }

    proptest! {
        /// The window that was really measured differs by one bucket at most.
        #[test]
        fn a_window_is_at_most_one_bucket_off(
            until in 12_000_u64..15_000,
            burst in 1_u64..15_000,
        ) {
            let (windows, now, history) = run(until, |ms| if ms / 100 == burst / 100 { 7 } else { 1 });
            for (seconds, seen) in [(1, windows.rates(now).request_1s), (10, windows.rates(now).request_10s)] {
                let exact = |start: u64| (now.requests - history[start as usize]) as f64 / seconds as f64;
                let start = until - seconds * 1_000;
                let bounds = (exact(start + 100), exact(start - 100));
                prop_assert!(bounds.0 <= seen && seen <= bounds.1, "{seen} not in {bounds:?}");
            }
        }
    }
}
