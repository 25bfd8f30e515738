//! Lines, written and packed, on their way out.

use super::feed::Lot;
use super::lines::Lines;
use crate::datagrams::Batch;

/// Lines in datagrams, or pieces of a stream, one behind the other. Those in one of them
/// have numbers in a row.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    /// Their text. In a stream each line has an end, in a datagram the last has none.
    pub(super) batch: Batch,
    /// Lines of each datagram or piece.
    pub(super) lines: Vec<u64>,
    /// The number of the first line of each.
    pub(super) firsts: Vec<u64>,
    /// Whether they count: those of the warm-up do not.
    pub(super) counts: bool,
}

impl Parcel {
    /// Writes the lines of `lot` as datagrams of at most `mtu` bytes.
    pub(super) fn fill_datagrams(&mut self, lot: &Lot, lines: &Lines, mtu: usize) {
        self.begin(lot);
        for (wanted, first) in lot.datagrams.iter().zip(&lot.firsts) {
            let mut start = self.batch.bytes().len();
            let (mut number, mut packed) = (*first, 0);
            for _ in 0..*wanted {
                let bytes = self.batch.bytes();
                let before = bytes.len();
                lines.write(number, bytes);
                if bytes.len() - "\n".len() - start > mtu && packed > 0 {
                    bytes.truncate(before);
                    self.end(number - packed, packed);
                    start = self.batch.bytes().len();
                    packed = 0;
                    lines.write(number, self.batch.bytes());
                }
                number += 1;
                packed += 1;
            }
            self.end(number - packed, packed);
        }
    }

    /// Ends a datagram of so many lines: the last has no end.
    fn end(&mut self, first: u64, lines: u64) {
        self.batch.bytes().pop();
        self.end_piece(first, lines);
    }

    /// Writes the lines of `lot` as a stream, in pieces as long as numbers are in a row.
    pub(super) fn fill_stream(&mut self, lot: &Lot, lines: &Lines) {
        self.begin(lot);
        let mut datagrams = lot.firsts.iter().zip(&lot.datagrams).peekable();
        let mut total = 0;
        while let Some((first, count)) = datagrams.next() {
            for number in *first..first + count {
                lines.write(number, self.batch.bytes());
            }
            total += count;
            let end = first + count;
            if datagrams.peek().is_none_or(|(next, _)| **next != end) {
                self.end_piece(end - total, total);
                total = 0;
            }
        }
    }

    fn end_piece(&mut self, first: u64, lines: u64) {
        self.batch.end();
        self.firsts.push(first);
        self.lines.push(lines);
    }

    fn begin(&mut self, lot: &Lot) {
        self.batch.clear();
        self.lines.clear();
        self.firsts.clear();
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

    fn in_a_row(datagrams: Vec<u64>, first: u64) -> Lot {
        let mut lot = Lot {
            firsts: vec![0; datagrams.len()],
            datagrams,
            counts: true,
        };
        lot.number_from(first);
        lot
    }

    #[test]
    fn a_stream_has_a_piece_for_each_row_of_numbers() {
        let lot = Lot {
            datagrams: vec![3, 2, 4],
            firsts: vec![10, 13, 40],
            counts: true,
        };
        let mut parcel = Parcel::default();
        parcel.fill_stream(&lot, &lines());
        assert_eq!((parcel.firsts, parcel.lines), (vec![10, 40], vec![5, 4]));
        let mut second = Vec::new();
        (40..44).for_each(|number| lines().write(number, &mut second));
        assert_eq!(parcel.batch.get(1..2), second);
    }

    proptest! {
        #[test]
        fn datagrams_have_all_lines_in_order_and_are_never_too_long(
            datagrams in proptest::collection::vec(1_u64..40, 1..20),
            first in 0_u64..1 << 32, mtu in 64_usize..600,
        ) {
            let lot = in_a_row(datagrams, first);
            let lines = lines();
            let mut parcel = Parcel::default();
            parcel.fill_datagrams(&lot, &lines, mtu);
            prop_assert_eq!(parcel.lines.len(), parcel.batch.len());
            let mut number = first;
            for (at, wanted) in parcel.lines.iter().enumerate() {
                prop_assert_eq!(parcel.firsts[at], number);
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
            let lot = in_a_row(datagrams, 7);
            let mut parcel = Parcel::default();
            parcel.fill_stream(&lot, &lines());
            prop_assert_eq!((&parcel.firsts, &parcel.lines), (&vec![7], &vec![lot.lines()]));
            let mut expected = Vec::new();
            (7..7 + lot.lines()).for_each(|number| lines().write(number, &mut expected));
            prop_assert_eq!(parcel.batch.get(0..1), expected);
        }
    }
}
