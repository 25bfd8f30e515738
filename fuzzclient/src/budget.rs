//! How many bytes may leave now: the limit of the whole run and its rate.

use std::time::Duration;

/// At a limited rate, bytes leave in slices of about this much time. Shorter ones cost
/// system calls, longer ones are bursts.
const SLICE: Duration = Duration::from_millis(1);

/// Counts what was sent against what may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    left: Option<u64>,
    rate: Option<f64>,
    sent: u64,
}

impl Budget {
    /// At most `limit` bytes, at most `rate` bytes per second from the start on.
    pub(crate) fn new(limit: Option<u64>, rate: Option<f64>) -> Self {
        Self {
            left: limit,
            rate,
            sent: 0,
        }
    }

    /// Bytes that may leave `since_start`, of those that are wanted.
    pub(crate) fn allows(&self, since_start: Duration, wanted: u64) -> u64 {
        let wanted = self.left.map_or(wanted, |left| left.min(wanted));
        let Some(rate) = self.rate else { return wanted };
        let due = (rate * since_start.as_secs_f64()) as u64;
        due.saturating_sub(self.sent).min(wanted)
    }

    /// Bytes have left.
    pub(crate) fn spend(&mut self, bytes: u64) {
        self.sent += bytes;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(bytes);
        }
    }

    /// Bytes that have left.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether all that may ever leave has left.
    pub(crate) fn is_spent(&self) -> bool {
        self.left == Some(0)
    }

    /// When after the start the rate allows the next slice; `None` without a rate.
    pub(crate) fn next_slice(&self) -> Option<Duration> {
        let rate = self.rate?;
        let slice = (rate * SLICE.as_secs_f64()).max(1.0);
        let slice = self.left.map_or(slice, |left| slice.min(left as f64));
        // Rounded up: waking just before the byte is due would be in vain.
        let at = (self.sent as f64 + slice) / rate + 1e-9;
        Some(Duration::try_from_secs_f64(at).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_more_than_the_limit_nor_the_rate_and_in_the_end_all(
            limit in 0_u64..100_000,
            rate in 1_f64..10_000_000.0,
            taken in proptest::collection::vec(1_u64..5_000, 1..50),
        ) {
            let mut budget = Budget::new(Some(limit), Some(rate));
            let mut sent = 0;
            let mut now = Duration::ZERO;
            let mut turn = taken.iter().cycle();
            while !budget.is_spent() {
                let next = budget.next_slice().expect("there is a rate");
                prop_assert!(next >= now);
                now = next.max(now);
                let wanted = *turn.next().expect("a cycle");
                let allowed = budget.allows(now, wanted);
                prop_assert!(allowed >= 1, "a slice that is due is not in vain");
                budget.spend(allowed);
                sent += allowed;
                prop_assert!(sent as f64 <= rate * now.as_secs_f64() + 1.0);
            }
            prop_assert_eq!(sent, limit);
            prop_assert_eq!(budget.allows(now + Duration::from_secs(9), 1), 0);
        }
    }
}
