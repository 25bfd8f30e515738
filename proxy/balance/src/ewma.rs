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

/// A word that holds no sample: no sample is ever stored as zero.
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
                let next = if sample > value * kept {
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
    u64::from(value.max(f32::MIN_POSITIVE).to_bits()) << 32 | u64::from(stamp)
}

fn unpack(word: u64) -> Option<(f32, u32)> {
    (word != UNMEASURED).then(|| (f32::from_bits((word >> 32) as u32), word as u32))
}
