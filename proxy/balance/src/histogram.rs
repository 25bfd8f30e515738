//! A histogram of durations that any thread may add to.

use std::sync::atomic::{AtomicU64, Ordering};

/// The upper bounds of the buckets in microseconds, inclusive: 1-2-5 from 50 µs, about a
/// dial on the same machine, to 10 s, longer than any sensible dial timeout.
pub const BUCKETS_US: [u64; 17] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000,
];

/// Counts of durations by bucket, as a Prometheus histogram wants them.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each of [`BUCKETS_US`], and one for what is longer.
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

/// What a [`Histogram`] held at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// For each of [`BUCKETS_US`], how many took at most that long (cumulative).
    pub cumulative: [u64; BUCKETS_US.len()],
    /// How many there were: the bucket `+Inf`.
    pub count: u64,
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// Adds one duration.
    pub fn record(&self, took_us: u64) {
        let bucket = BUCKETS_US.partition_point(|&bound| bound < took_us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// What it holds now. The buckets and the count agree with each other; the sum may be
    /// ahead or behind by what is added meanwhile.
    pub fn snapshot(&self) -> HistogramSnapshot {
        let mut snapshot = HistogramSnapshot::default();
        for (bucket, counted) in self.buckets.iter().enumerate() {
            snapshot.count += counted.load(Ordering::Relaxed);
            if let Some(cumulative) = snapshot.cumulative.get_mut(bucket) {
                *cumulative = snapshot.count;
            }
        }
        snapshot.sum_us = self.sum_us.load(Ordering::Relaxed);
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_bucket_counts_what_took_at_most_its_bound(
            took in prop::collection::vec(0u64..20_000_000, 0..200),
        ) {
            let histogram = Histogram::default();
            for &took_us in took.iter().chain(&BUCKETS_US) {
                histogram.record(took_us);
            }
            let snapshot = histogram.snapshot();
            for (bound, cumulative) in BUCKETS_US.iter().zip(snapshot.cumulative) {
                let expected = took.iter().chain(&BUCKETS_US).filter(|&us| us <= bound).count();
                prop_assert_eq!(cumulative, expected as u64);
            }
            prop_assert_eq!(snapshot.count, (took.len() + BUCKETS_US.len()) as u64);
            prop_assert_eq!(snapshot.sum_us, took.iter().chain(&BUCKETS_US).sum::<u64>());
        }
    }
}
