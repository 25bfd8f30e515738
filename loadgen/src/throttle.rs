//! Reading a connection no faster than a rate.

/// Reads per second of a connection that is read slowly: few enough that each brings
/// something, many enough that the flow is even.
const READS_PER_SECOND: u64 = 100;

const SECOND_NS: u128 = 1_000_000_000;

/// Says when and how much may be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throttle {
    rate: u64,
    next: u64,
}

impl Throttle {
    /// A throttle of `rate` bytes per second.
    pub(crate) fn new(rate: u64) -> Self {
        Self {
            rate: rate.max(1),
            next: 0,
        }
    }

    /// How many bytes may be read at `now`, or when some may be.
    pub(crate) fn allows(&self, now: u64) -> Result<usize, u64> {
        if now < self.next {
            return Err(self.next);
        }
        let bytes = (self.rate / READS_PER_SECOND).max(1);
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Notes that `bytes` bytes were read at `now`. A time in which nothing came is not
    /// made up for.
    pub(crate) fn took(&mut self, bytes: usize, now: u64) {
        let long = (bytes as u128 * SECOND_NS).div_ceil(u128::from(self.rate));
        let from = self.next.max(now.saturating_sub(1_000_000));
        self.next = from.saturating_add(u64::try_from(long).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_faster_than_the_rate(
            rate in 1_u64..1_000_000_000, shares in proptest::collection::vec(0.0..1.0_f64, 1..200),
        ) {
            let mut throttle = Throttle::new(rate);
            let (mut now, start, mut read) = (5_000_000_000, 5_000_000_000, 0);
            for share in shares {
                let allowed = match throttle.allows(now) {
                    Ok(bytes) => bytes,
                    Err(when) => {
                        prop_assert!(when > now);
                        now = when;
                        throttle.allows(now).expect("it is time")
                    }
                };
                let took = ((allowed as f64 * share) as usize).max(1);
                throttle.took(took, now);
                read += took as u64;
                let beyond = (rate / READS_PER_SECOND).max(1) + rate / 1_000 + 1;
                let by_now = u128::from(now - start) * u128::from(rate) / SECOND_NS;
                prop_assert!(u128::from(read) <= by_now + u128::from(beyond));
            }
        }
    }
}
