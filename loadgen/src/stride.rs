//! How work is shared out: everybody takes every n-th of what is numbered through.

/// Every `step`-th slot, connection or request, from number `first` on. A whole is shared
/// out among shards and a shard among its workers in the same way, so that together they
/// do what one alone would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    /// The first number.
    pub first: u64,
    /// From one number to the next; at least 1.
    pub step: u64,
}

impl Stride {
    /// The whole.
    pub const ALL: Self = Self { first: 0, step: 1 };

    /// Part `index` of `of` parts of this: every `of`-th of its numbers.
    #[must_use]
    pub fn part(self, index: u64, of: u64) -> Self {
        Self {
            first: self.first + self.step * index,
            step: self.step * of,
        }
    }

    /// How many of the numbers below `total` are in it.
    #[must_use]
    pub fn share(self, total: u64) -> u64 {
        total.saturating_sub(self.first).div_ceil(self.step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shards_and_their_workers_together_have_every_number_once(
            shards in 1_u64..12, threads in proptest::collection::vec(1_u64..6, 12),
            total in 0_u64..500,
        ) {
            let mut numbers = vec![];
            let mut shares = 0;
            for shard in 0..shards {
                let own = Stride::ALL.part(shard, shards);
                let of = threads[shard as usize];
                let mut within = 0;
                for worker in 0..of {
                    let seat = own.part(worker, of);
                    let taken = (seat.first..total).step_by(seat.step as usize);
                    prop_assert_eq!(taken.clone().count() as u64, seat.share(total));
                    numbers.extend(taken);
                    within += seat.share(total);
                }
                prop_assert_eq!(within, own.share(total));
                shares += within;
            }
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..total).collect::<Vec<_>>());
            prop_assert_eq!(shares, total);
        }
    }
}
