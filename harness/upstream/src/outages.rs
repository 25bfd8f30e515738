//! When the ports are closed.

use std::time::{Duration, Instant};

use crate::defect::Flap;

/// Closed for a while, again and again or so many times.
#[derive(Debug)]
pub(crate) struct Outages {
    flap: Option<Flap>,
    times: Option<u64>,
    started: Instant,
}

impl Outages {
    pub(crate) fn new(flap: Option<Flap>, times: Option<u64>, started: Instant) -> Self {
        Self {
            flap,
            times,
            started,
        }
    }

    /// Whether the ports are to be open now, and when that changes.
    pub(crate) fn phase(&self, now: Instant) -> (bool, Option<Instant>) {
        let Some(flap) = self.flap else {
            return (true, None);
        };
        let since_start = now.saturating_duration_since(self.started);
        let period = flap.up + flap.down;
        let over = since_start.as_nanos() / period.as_nanos();
        if self.times.is_some_and(|times| over >= times.into()) {
            return (true, None);
        }
        let (open, left) = flap.phase(since_start);
        // Not a moment too early, or the worker would come again.
        let left = left + Duration::from_micros(1);
        (open, now.checked_add(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_and_no_more() {
        let ms = Duration::from_millis;
        let started = Instant::now();
        let flap = Flap {
            up: ms(100),
            down: ms(50),
        };
        let is_open = |times, at| {
            let outages = Outages::new(Some(flap), times, started);
            outages.phase(started + ms(at)).0
        };
        let expected = [
            (0, true),
            (120, false),
            (160, true),
            (260, false),
            (310, true),
        ];
        for (at, open) in expected {
            assert_eq!(is_open(Some(2), at), open, "at {at} ms");
        }
        assert!(is_open(Some(2), 420) && !is_open(None, 420));
        assert_eq!(
            Outages::new(None, None, started).phase(started),
            (true, None)
        );
    }
}
