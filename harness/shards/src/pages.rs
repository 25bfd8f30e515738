//! The sum of many sparse histograms.

use loadgen::histograms::Histogram;

use crate::sparse::{Count, value_of};

/// Slots of a page: half a kilobyte, so that what is far apart costs little, and what lies
/// side by side, as most of what is measured in one second does, is found at once.
const PAGE: usize = 64;

/// A sum of histograms: pages for the slots where something was counted.
#[derive(Debug, Default)]
pub struct Pages {
    pages: Vec<Option<Box<[u64; PAGE]>>>,
}

impl Pages {
    /// Adds what one histogram counts.
    pub fn add(&mut self, counts: &[Count]) {
        for (slot, count) in counts {
            let (page, at) = (*slot as usize / PAGE, *slot as usize % PAGE);
            if page >= self.pages.len() {
                self.pages.resize_with(page + 1, || None);
            }
            self.pages[page].get_or_insert_with(|| Box::new([0; PAGE]))[at] += count;
        }
    }

    /// What was counted, by rising slots.
    pub fn counts(&self) -> impl Iterator<Item = Count> {
        self.pages.iter().enumerate().flat_map(|(page, counts)| {
            let counts = counts.iter().flat_map(|counts| counts.iter());
            counts
                .enumerate()
                .filter(|(_, count)| **count > 0)
                .map(move |(at, count)| ((page * PAGE + at) as u32, *count))
        })
    }

    /// Puts it in the place of what is in a histogram of the bounds of load records.
    pub fn fill(&self, histogram: &mut Histogram) {
        histogram.reset();
        for (slot, count) in self.counts() {
            histogram
                .record_n(value_of(slot), count)
                .expect("every slot has a value within the bounds");
        }
    }
}

#[cfg(test)]
mod tests {
    use loadgen::histograms::{empty, encode};
    use proptest::prelude::*;

    use super::*;
    use crate::sparse::Decoder;

    proptest! {
        #[test]
        fn sums_are_those_of_dense_histograms(
            parts in proptest::collection::vec(
                proptest::collection::vec((0..3_600_000_000_000_u64, 1..1_000_u64), 0..50), 0..8),
        ) {
            let (mut whole, mut pages) = (empty(), Pages::default());
            let (mut decoder, mut counts) = (Decoder::default(), Vec::new());
            for part in parts {
                let mut histogram = empty();
                for (value, count) in part {
                    histogram.record_n(value >> (value % 40), count).unwrap();
                }
                whole.add(&histogram).unwrap();
                decoder.decode(&encode(&histogram), &mut counts).unwrap();
                pages.add(&counts);
            }
            let mut filled = empty();
            filled.record(7).unwrap();
            pages.fill(&mut filled);
            prop_assert_eq!(encode(&filled), encode(&whole));
            prop_assert_eq!(filled, whole);
        }
    }
}
