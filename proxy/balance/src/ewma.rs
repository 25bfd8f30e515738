//! Peak-sensitive moving averages of latency, as in Finagle and Linkerd.

use std::sync::atomic::{AtomicU64, Ordering};

/// An exponentially weighted moving average that rises to each peak at once and decays
/// over time, so that a backend that turns slow is noticed with its first slow answer and
/// trusted again only gradually (Finagle's `p2cPeakEwma`, `com.twitter.finagle.loadbalancer`).
///
/// Value (f32, µs) and time of the last sample (ms, low 32 bits) share one word, so that
/// any thread may add a sample without a lock. A pause of more than 24 days counts as none.
#[derive(Debug)]
pub struct PeakEwma {
    word: AtomicU64,
    tau_ms: f32,
}

/// A word that holds no sample: no sample counts as less than a microsecond, and neither
/// does any mean of them.
const UNMEASURED: u64 = 0;

impl PeakEwma {
    /// An average without a sample, which decays to 1/e within `tau_ms`.
    pub const fn new(tau_ms: u32) -> Self {
        Self {
            word: AtomicU64::new(UNMEASURED),
            tau_ms: tau_ms as f32,
        }
    }

    /// Adds a sample.
    pub fn observe(&self, now_ms: u64, sample_us: u64) {
        let sample = (sample_us as f32).max(1.0);
        // The closure never refuses, so there is no error to look at.
        let _ = self
            .word
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                let Some((value, stamp)) = unpack(word) else {
                    return Some(pack(sample, now_ms as u32));
                };
                let elapsed = elapsed_ms(stamp, now_ms);
                let kept = self.kept(elapsed);
                let next = if sample > value {
                    sample
                } else {
                    value * kept + sample * (1.0 - kept)
                };
                Some(pack(next, stamp.wrapping_add(elapsed)))
            });
    }

    /// What it has decayed to by now, in microseconds; `None` before the first sample.
    pub fn get(&self, now_ms: u64) -> Option<f32> {
        let (value, stamp) = unpack(self.word.load(Ordering::Relaxed))?;
        Some(value * self.kept(elapsed_ms(stamp, now_ms)))
    }

    /// The part of the value that is left after a time.
    fn kept(&self, elapsed_ms: u32) -> f32 {
        (-(elapsed_ms as f32) / self.tau_ms).exp()
    }
}

/// Milliseconds since the stamp; 0 when another thread's clock was ahead.
fn elapsed_ms(stamp: u32, now_ms: u64) -> u32 {
    let elapsed = (now_ms as u32).wrapping_sub(stamp);
    if elapsed > u32::MAX / 2 { 0 } else { elapsed }
}

fn pack(value: f32, stamp: u32) -> u64 {
    u64::from(value.to_bits()) << 32 | u64::from(stamp)
}

fn unpack(word: u64) -> Option<(f32, u32)> {
    (word != UNMEASURED).then(|| (f32::from_bits((word >> 32) as u32), word as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAU_MS: u32 = 10_000;

    fn close(a: f32, b: f64) -> bool {
        (f64::from(a) - b).abs() <= b * 1e-3
    }

    proptest! {
        #[test]
        fn it_decays_by_the_exponential_law(
            sample_us in 1u64..10_000_000,
            start_ms in any::<u64>(),
            idle_ms in 0u64..60_000,
        ) {
            let average = PeakEwma::new(TAU_MS);
            prop_assert_eq!(average.get(start_ms), None);
            average.observe(start_ms, sample_us);
            let now = average.get(start_ms.wrapping_add(idle_ms)).unwrap();
            let law = sample_us as f64 * (-(idle_ms as f64) / f64::from(TAU_MS)).exp();
            prop_assert!(close(now, law), "{} for {}", now, law);
        }

        #[test]
        fn it_rises_at_once_and_falls_by_the_weighted_mean(
            samples in prop::collection::vec((0u64..5_000, 1u64..1_000_000), 1..100),
        ) {
            let average = PeakEwma::new(TAU_MS);
            let (mut now_ms, mut model) = (u64::from(u32::MAX) - 1_000, 0.0_f64);
            for (pause_ms, sample_us) in samples {
                now_ms += pause_ms;
                let kept = (-(pause_ms as f64) / f64::from(TAU_MS)).exp();
                let sample = sample_us as f64;
                model = sample.max(model * kept + sample * (1.0 - kept));
                average.observe(now_ms, sample_us);
                let value = average.get(now_ms).unwrap();
                prop_assert!(f64::from(value) >= sample * 0.999);
                prop_assert!(close(value, model), "{} for {}", value, model);
            }
        }
    }

    #[test]
    fn a_clock_that_is_a_moment_behind_decays_nothing() {
        let average = PeakEwma::new(TAU_MS);
        average.observe(5_000, 800);
        assert_eq!(average.get(4_990), Some(800.0));
        average.observe(4_990, 100);
        assert_eq!(average.get(5_000), Some(800.0));
    }

    #[test]
    fn what_was_measured_once_stays_measured() {
        let average = PeakEwma::new(TAU_MS);
        average.observe(0, 0);
        assert!(average.get(2_000_000_000).is_some());
    }
}
