//! What became of lines, by number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::metered::Meter;
use crate::tally::{NotSent, Unsent};

/// Most ranges of numbers that are kept: enough for a target that is gone for a moment,
/// when every other datagram may be refused, and little enough for a record.
const MOST_RANGES: usize = 4_096;

/// What was handed to the system, and what it did not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) lines: u64,
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    not_sent: Unsent,
}

impl Sums {
    /// Counts lines that were not sent.
    pub(super) fn refuse(&mut self, kind: NotSent, lines: u64) {
        self.not_sent.add(kind, lines);
    }

    /// Lines that were not sent for this reason.
    pub(super) fn not_sent(&self, kind: NotSent) -> u64 {
        self.not_sent.of(kind)
    }

    /// Lines that were not sent.
    pub(super) fn not_sent_total(&self) -> u64 {
        self.not_sent.total()
    }

    /// Lines that were not sent, by kind; kinds that did not occur are absent.
    pub(super) fn kinds(&self) -> BTreeMap<String, u64> {
        self.not_sent.kinds()
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
        self.not_sent.add_all(&other.not_sent);
    }
}

/// Ranges of numbers, first and last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    ranges: Vec<[u64; 2]>,
    incomplete: bool,
}

impl Ranges {
    /// Adds `count` numbers from `first` on.
    pub(super) fn add(&mut self, first: u64, count: u64) {
        if count == 0 {
            return;
        }
        if let Some([_, last]) = self.ranges.last_mut()
            && *last + 1 == first
        {
            *last += count;
        } else if self.ranges.len() < MOST_RANGES {
            self.ranges.push([first, first + count - 1]);
        } else {
            self.incomplete = true;
        }
    }

    /// All of several workers' in ascending order, neighbours joined, and whether that is
    /// all there were.
    pub(super) fn join<'a>(all: impl IntoIterator<Item = &'a Self>) -> (Vec<[u64; 2]>, bool) {
        let (mut ranges, mut complete) = (vec![], true);
        for one in all {
            ranges.extend_from_slice(&one.ranges);
            complete &= !one.incomplete;
        }
        ranges.sort_unstable();
        let mut joined: Vec<[u64; 2]> = vec![];
        for [first, last] in ranges {
            match joined.last_mut() {
                Some([_, end]) if *end + 1 == first => *end = last,
                _ => joined.push([first, last]),
            }
        }
        complete &= joined.len() <= MOST_RANGES;
        joined.truncate(MOST_RANGES);
        (joined, complete)
    }
}

/// One worker's.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The whole run.
    pub(super) all: Sums,
    /// What was due while measuring.
    pub(super) measured: Sums,
    /// Numbers that were not sent.
    pub(super) ranges: Ranges,
    meter: Arc<Meter>,
}

impl Ledger {
    /// An empty one, which also shows on `meter`.
    pub(super) fn new(meter: Arc<Meter>) -> Self {
        Self {
            all: Sums::default(),
            measured: Sums::default(),
            ranges: Ranges::default(),
            meter,
        }
    }

    fn both(&mut self, counts: bool, change: impl Fn(&mut Sums)) {
        change(&mut self.all);
        if counts {
            change(&mut self.measured);
        }
    }

    /// Lines were handed to the system.
    pub(super) fn sent(&mut self, counts: bool, lines: u64, datagrams: u64, bytes: u64) {
        self.both(counts, |sums| {
            sums.lines += lines;
            sums.datagrams += datagrams;
            sums.bytes += bytes;
        });
        self.show();
    }

    /// Lines from number `first` on were not.
    pub(super) fn not_sent(&mut self, counts: bool, first: u64, lines: u64, kind: NotSent) {
        self.both(counts, |sums| sums.refuse(kind, lines));
        self.ranges.add(first, lines);
        self.meter
            .failed
            .store(self.all.not_sent_total(), Ordering::Relaxed);
    }

    /// Lines from number `first` on that had been counted as handed over were not, `bytes`
    /// bytes in all.
    pub(super) fn taken_back(
        &mut self,
        counts: bool,
        first: u64,
        lines: u64,
        bytes: u64,
        kind: NotSent,
    ) {
        self.both(counts, |sums| {
            sums.lines -= lines;
            sums.bytes -= bytes;
        });
        self.show();
        self.not_sent(counts, first, lines, kind);
    }

    fn show(&self) {
        self.meter.sent.store(self.all.lines, Ordering::Relaxed);
        self.meter
            .bytes_sent
            .store(self.all.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn kinds_and_numbers_add_up() {
        let mut ledger = Ledger::new(Arc::default());
        ledger.sent(false, 10, 2, 100);
        ledger.sent(true, 10, 2, 100);
        ledger.not_sent(true, 20, 5, NotSent::of(Errno::CONNREFUSED));
        ledger.not_sent(true, 25, 1, NotSent::of(Errno::NOBUFS));
        ledger.taken_back(true, 15, 5, 50, NotSent::Broken);
        assert_eq!((ledger.all.lines, ledger.measured.lines), (15, 5));
        assert_eq!(ledger.all.not_sent_total(), 11);
        let kinds: Vec<_> = ledger.all.kinds().into_iter().collect();
        let expected = [("broken", 5), ("no_buffer", 1), ("refused", 5)];
        assert_eq!(kinds, expected.map(|(kind, n)| (kind.to_owned(), n)));
        let (ranges, complete) = Ranges::join([&ledger.ranges]);
        assert_eq!((ranges, complete), (vec![[15, 25]], true));
    }

    #[test]
    fn too_many_ranges_are_said_to_be_too_many() {
        let mut ranges = Ranges::default();
        for number in 0..=MOST_RANGES as u64 {
            ranges.add(number * 2, 1);
        }
        let (joined, complete) = Ranges::join([&ranges]);
        assert_eq!((joined.len(), complete), (MOST_RANGES, false));
    }

    proptest! {
        #[test]
        fn ranges_of_workers_are_the_numbers_and_no_others(
            owners in proptest::collection::vec(0_usize..4, 0..300),
        ) {
            let mut workers = vec![Ranges::default(); 3];
            for (number, owner) in owners.iter().enumerate() {
                if let Some(worker) = workers.get_mut(*owner) {
                    worker.add(number as u64, 1);
                }
            }
            let (joined, complete) = Ranges::join(&workers);
            prop_assert!(complete);
            let numbers: Vec<usize> = joined
                .iter()
                .flat_map(|[first, last]| *first as usize..=*last as usize)
                .collect();
            let expected: Vec<usize> =
                (0..owners.len()).filter(|number| owners[*number] < 3).collect();
            prop_assert_eq!(numbers, expected);
        }
    }
}
