//! When requests are due: the open loop's one global schedule, and shares of it.
//!
//! Slot `k` has one due time, whoever asks. Shards on several machines, and workers in
//! each, take every `n`-th slot, so that together they send exactly the schedule, whatever
//! their number.

use crate::mix::mix;
use crate::stride::Stride;

/// How slots are spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// Slot `k` is due at `k / rate`.
    #[default]
    Uniform,
    /// Independent exponential gaps, as many users who do not know of each other make.
    Poisson,
}

/// The global schedule. Times are nanoseconds from its start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    rate: f64,
    spacing: Spacing,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Spacing {
    Uniform,
    Poisson,
    /// This many at once, again and again after this many nanoseconds.
    Bursts {
        slots: u64,
        every_ns: u64,
    },
}

impl Schedule {
    /// A schedule of `rate` slots per second.
    #[must_use]
    pub fn new(rate: f64, arrivals: Arrivals, seed: u64) -> Self {
        let spacing = match arrivals {
            Arrivals::Uniform => Spacing::Uniform,
            Arrivals::Poisson => Spacing::Poisson,
        };
        Self {
            rate,
            spacing,
            seed,
        }
    }

    /// A schedule of `slots` slots at once, the first at its start, and as many again each
    /// time that `every_ns` nanoseconds are over. Both are at least 1.
    #[must_use]
    pub fn bursts(slots: u64, every_ns: u64) -> Self {
        Self {
            rate: slots as f64 * 1e9 / every_ns as f64,
            spacing: Spacing::Bursts { slots, every_ns },
            seed: 0,
        }
    }

    /// The slots of `stride`.
    #[must_use]
    pub fn share(&self, stride: Stride) -> Slots {
        let mut slots = Slots {
            schedule: *self,
            slot: 0,
            step: stride.step,
            elapsed: 0.0,
            product: self.unit(0),
            due: 0,
        };
        slots.move_by(stride.first);
        slots
    }

    fn uniform(&self, slot: u64) -> u64 {
        (slot as f64 * 1e9 / self.rate) as u64
    }

    /// The number in (0, 1] that the gap before slot `slot` is drawn by.
    #[inline]
    fn unit(&self, slot: u64) -> f64 {
        const OF_53_BITS: f64 = 1.0 / (1_u64 << 53) as f64;
        ((mix(self.seed, slot) >> 11) + 1) as f64 * OF_53_BITS
    }

    /// The sum of the gaps whose numbers have this product, by inversion of the exponential
    /// distribution.
    #[inline]
    fn gaps(&self, product: f64) -> f64 {
        -product.ln() * 1e9 / self.rate
    }
}

/// Slots whose gaps are added up by one logarithm: that of the product of as many numbers,
/// none below 2^-53, is finite.
///
/// A walk with random gaps passes every slot of the whole, whoever's it is. That costs a
/// worker 1.6 ns for each (measured on one core of a 2020s x86 server; 5 ns with a logarithm
/// for each slot): at ten million slots per second over all shards 1.6 % of its core, and
/// from one of its slots to the next 1.6 µs with 1,000 workers in all. Without random gaps a
/// step costs the same however long it is.
const BLOCK: u64 = 16;

/// A walk over a share of the schedule.
#[derive(Clone, Debug)]
pub struct Slots {
    schedule: Schedule,
    slot: u64,
    step: u64,
    /// Poisson only: the exact due time of the last slot of the block before.
    elapsed: f64,
    /// Poisson only: the product of the numbers of the slots since then.
    product: f64,
    due: u64,
}

impl Slots {
    /// When the slot at hand is due.
    #[inline]
    #[must_use]
    pub fn due(&self) -> u64 {
        self.due
    }

    /// Its number.
    #[must_use]
    pub fn slot(&self) -> u64 {
        self.slot
    }

    /// Goes on to the next slot of the share.
    #[inline]
    pub fn advance(&mut self) {
        self.move_by(self.step);
    }

    fn move_by(&mut self, slots: u64) {
        match self.schedule.spacing {
            Spacing::Uniform => {
                self.slot += slots;
                self.due = self.schedule.uniform(self.slot);
            }
            Spacing::Bursts {
                slots: at_once,
                every_ns,
            } => {
                self.slot += slots;
                self.due = (self.slot / at_once).saturating_mul(every_ns);
            }
            Spacing::Poisson => {
                for _ in 0..slots {
                    self.slot += 1;
                    if self.slot.is_multiple_of(BLOCK) {
                        self.elapsed += self.schedule.gaps(self.product);
                        self.product = 1.0;
                    }
                    self.product *= self.schedule.unit(self.slot);
                }
                self.due = (self.elapsed + self.schedule.gaps(self.product)) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// When `slot` is due, from its number alone; nanoseconds after the start.
    fn due(schedule: &Schedule, slot: u64) -> u64 {
        match schedule.spacing {
            Spacing::Uniform => schedule.uniform(slot),
            Spacing::Bursts { slots, every_ns } => slot / slots * every_ns,
            Spacing::Poisson => {
                let units: Vec<f64> = (0..=slot).map(|k| schedule.unit(k)).collect();
                let blocks = units.chunks(BLOCK as usize);
                let gaps = blocks.map(|block| schedule.gaps(block.iter().product()));
                gaps.sum::<f64>() as u64
            }
        }
    }

    #[test]
    fn uniform_slots_are_k_over_rate() {
        let schedule = Schedule::new(4_000.0, Arrivals::Uniform, 1);
        let dues: Vec<u64> = (0..4).map(|k| due(&schedule, k)).collect();
        assert_eq!(dues, [0, 250_000, 500_000, 750_000]);
        assert_eq!(
            due(&schedule, 4_000 * 3600),
            3_600_000_000_000,
            "no drift in an hour"
        );
    }

    #[test]
    fn bursts_are_due_all_at_once() {
        let mut slots = Schedule::bursts(3, 500).share(Stride::ALL);
        let mut dues = Vec::new();
        for _ in 0..7 {
            dues.push(slots.due());
            slots.advance();
        }
        assert_eq!(dues, [0, 0, 0, 500, 500, 500, 1_000]);
        let second_of_two = Schedule::bursts(3, 500).share(Stride::ALL.part(1, 2));
        assert_eq!((second_of_two.slot(), second_of_two.due()), (1, 0));
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let schedule = Schedule::new(1e6, Arrivals::Poisson, 7);
        let gaps: Vec<f64> = (0..100_000)
            .map(|k| schedule.gaps(schedule.unit(k)))
            .collect();
        let mean = gaps.iter().sum::<f64>() / 1e5;
        let above_mean = gaps.iter().filter(|gap| **gap > 1_000.0).count() as f64 / 1e5;
        assert!((mean - 1_000.0).abs() < 15.0, "mean gap {mean} ns");
        assert!(
            (above_mean - (-1_f64).exp()).abs() < 0.01,
            "{above_mean} above the mean"
        );
    }

    proptest! {
        #[test]
        fn shares_are_the_whole_schedule_and_nothing_else(
            rate in 1.0..1e7_f64, poisson in any::<bool>(), seed in any::<u64>(), n in 1_u64..9,
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Uniform };
            let schedule = Schedule::new(rate, arrivals, seed);
            let mut shared: Vec<(u64, u64)> = (0..n).flat_map(|first| {
                let mut slots = schedule.share(Stride::ALL.part(first, n));
                (0..20).map(|_| {
                    let at = (slots.slot(), slots.due());
                    slots.advance();
                    at
                }).collect::<Vec<_>>()
            }).collect();
            shared.sort_unstable();
            let whole: Vec<(u64, u64)> = (0..20 * n).map(|k| (k, due(&schedule, k))).collect();
            prop_assert_eq!(shared, whole);
        }

        #[test]
        fn due_times_never_go_back(
            rate in 1.0..1e9_f64, poisson in any::<bool>(), seed in any::<u64>(),
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Uniform };
            let mut slots = Schedule::new(rate, arrivals, seed).share(Stride::ALL);
            for _ in 0..200 {
                let before = slots.due();
                slots.advance();
                prop_assert!(slots.due() >= before);
            }
        }
    }
}
