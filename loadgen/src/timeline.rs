//! The phases of a run, cut into slices: warm-up, measuring, drain.

use std::time::Duration;

use crate::plan::nanos;

/// What a slice of time belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Traffic that is logged and not counted.
    Warmup,
    /// What counts.
    Measured,
    /// No new requests; late answers to those that count.
    Drain,
}

/// A slice of the run, in monotonic nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Its number, from 0.
    pub index: usize,
    /// Its first moment.
    pub start: u64,
    /// The first moment that is not in it.
    pub end: u64,
    /// What it belongs to.
    pub phase: Phase,
}

/// When the phases begin, in monotonic nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// First moment of the warm-up.
    pub start: u64,
    /// First moment that counts.
    pub measure_from: u64,
    /// First moment of the drain; the largest number if only the requests are limited.
    pub end: u64,
    /// Length of a slice.
    pub interval: u64,
}

impl Timeline {
    /// The phases of a run that starts at `start` and is measured for `duration`, if that
    /// is limited.
    #[must_use]
    pub fn planned(
        start: u64,
        warmup: Duration,
        duration: Option<Duration>,
        interval: Duration,
    ) -> Self {
        let measure_from = start.saturating_add(nanos(warmup));
        Self {
            start,
            measure_from,
            end: duration.map_or(u64::MAX, |long| measure_from.saturating_add(nanos(long))),
            interval: nanos(interval),
        }
    }

    /// The slice that the run begins with.
    #[must_use]
    pub fn first(&self) -> Slice {
        self.slice(0, self.start)
    }

    /// The slice after `slice`.
    #[must_use]
    pub fn after(&self, slice: &Slice) -> Slice {
        self.slice(slice.index + 1, slice.end)
    }

    fn slice(&self, index: usize, start: u64) -> Slice {
        let (phase, phase_end) = if start >= self.end {
            (Phase::Drain, u64::MAX)
        } else if start < self.measure_from {
            (Phase::Warmup, self.measure_from.min(self.end))
        } else {
            (Phase::Measured, self.end)
        };
        let end = match phase {
            Phase::Drain => u64::MAX,
            _ => phase_end.min(start.saturating_add(self.interval)),
        };
        Slice {
            index,
            start,
            end,
            phase,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slices_end_where_phases_end() {
        let timeline = Timeline {
            start: 100,
            measure_from: 125,
            end: 150,
            interval: 10,
        };
        let mut slice = timeline.first();
        let mut seen = Vec::new();
        while slice.phase != Phase::Drain {
            seen.push((slice.start, slice.end, slice.phase == Phase::Warmup));
            slice = timeline.after(&slice);
        }
        let (w, m) = (true, false);
        let expected = [
            (100, 110, w),
            (110, 120, w),
            (120, 125, w),
            (125, 135, m),
            (135, 145, m),
            (145, 150, m),
        ];
        assert_eq!(seen, expected);
        assert_eq!((slice.start, slice.end), (150, u64::MAX));
    }

    proptest! {
        #[test]
        fn slices_have_no_gap_and_end(
            start in 0_u64..1_000, warmup in 0_u64..50, length in 0_u64..200, interval in 1_u64..60,
        ) {
            let measure_from = start + warmup;
            let timeline = Timeline { start, measure_from, end: measure_from + length, interval };
            let mut slice = timeline.first();
            prop_assert_eq!(slice.start, start);
            while slice.phase != Phase::Drain {
                prop_assert!(slice.start < slice.end && slice.end - slice.start <= interval);
                let next = timeline.after(&slice);
                prop_assert_eq!((next.start, next.index), (slice.end, slice.index + 1));
                slice = next;
            }
            prop_assert_eq!(slice.start, timeline.end);
        }
    }
}
