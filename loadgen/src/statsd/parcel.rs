//! Lines, written and packed, on their way out.

use super::feed::Lot;
use super::lines::Lines;
use crate::datagrams::Batch;

/// Lines with numbers in a row, in datagrams one behind the other.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    /// Their text. In a stream each line has an end, in a datagram the last has none.
    pub(super) batch: Batch,
    /// Lines of each datagram.
    pub(super) lines: Vec<u64>,
    /// Number of the first line.
    pub(super) first: u64,
    /// Whether they count: those of the warm-up do not.
    pub(super) counts: bool,
}

impl Parcel {
    /// Writes the lines of `lot`, from number `first` on, as datagrams of at most `mtu`
    /// bytes.
    pub(super) fn fill_datagrams(&mut self, lot: &Lot, first: u64, lines: &Lines, mtu: usize) {
        self.begin(lot, first);
        let mut number = first;
        for wanted in &lot.datagrams {
            let mut start = self.batch.bytes().len();
            let mut packed = 0;
            for _ in 0..*wanted {
                let bytes = self.batch.bytes();
                let before = bytes.len();
                lines.write(number, bytes);
                if bytes.len() - "\n".len() - start > mtu && packed > 0 {
                    bytes.truncate(before);
                    self.end(packed);
                    start = self.batch.bytes().len();
                    packed = 0;
                    lines.write(number, self.batch.bytes());
                }
                number += 1;
                packed += 1;
            }
            self.end(packed);
        }
    }

    /// Ends a datagram of so many lines: the last has no end.
    fn end(&mut self, lines: u64) {
        self.batch.bytes().pop();
        self.batch.end();
        self.lines.push(lines);
    }

    /// Writes the lines of `lot`, from number `first` on, as a stream.
    pub(super) fn fill_stream(&mut self, lot: &Lot, first: u64, lines: &Lines) {
        self.begin(lot, first);
        let total = lot.lines();
        for number in first..first + total {
            lines.write(number, self.batch.bytes());
        }
        self.batch.end();
        self.lines.push(total);
    }

    fn begin(&mut self, lot: &Lot, first: u64) {
        self.batch.clear();
        self.lines.clear();
        self.first = first;
        self.counts = lot.counts;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statsd::keys::Popularity;
    use crate::statsd::lines::{Text, Type};

    fn lines() -> Lines {
        Lines::new(&Text {
            sender: "load",
            keys: 100,
            popularity: Popularity::Uniform,
            types: &[Type::C, Type::Ms],
            sample_rate: None,
            tags: &[],
            seed: 1,
        })
    }

    proptest! {
        #[test]
        fn datagrams_have_all_lines_in_order_and_are_never_too_long(
            datagrams in proptest::collection::vec(1_u64..40, 1..20),
            first in 0_u64..1 << 32, mtu in 64_usize..600,
        ) {
            let lot = Lot { datagrams, counts: true };
            let lines = lines();
            let mut parcel = Parcel::default();
            parcel.fill_datagrams(&lot, first, &lines, mtu);
            prop_assert_eq!(parcel.lines.len(), parcel.batch.len());
            let mut number = first;
            for (at, wanted) in parcel.lines.iter().enumerate() {
                let datagram = parcel.batch.get(at..at + 1);
                prop_assert!(datagram.len() <= mtu);
                let mut expected = Vec::new();
                (number..number + wanted).for_each(|number| lines.write(number, &mut expected));
                expected.pop();
                prop_assert_eq!(datagram, expected);
                number += wanted;
            }
            prop_assert_eq!(number, first + lot.lines());
            if lot.datagrams.iter().max() < Some(&((mtu / 25) as u64)) {
                prop_assert_eq!(parcel.lines, lot.datagrams, "none is cut without need");
            }
        }

        #[test]
        fn a_stream_ends_every_line(datagrams in proptest::collection::vec(1_u64..40, 1..20)) {
            let lot = Lot { datagrams, counts: true };
            let mut parcel = Parcel::default();
            parcel.fill_stream(&lot, 7, &lines());
            let mut expected = Vec::new();
            (7..7 + lot.lines()).for_each(|number| lines().write(number, &mut expected));
            prop_assert_eq!(parcel.batch.get(0..1), expected);
        }
    }
}
