//! Which datagrams of a client have come, and in which order.

use crate::statsd::Seen;
use crate::udp::record::ClientRecord;

/// The sequence numbers of one client.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    seen: Seen,
    told: ClientRecord,
}

impl Numbers {
    /// Counts a datagram.
    pub(super) fn take(&mut self, number: u32) {
        let told = &mut self.told;
        told.datagrams += 1;
        if !self.seen.insert(number) {
            told.duplicates += 1;
            return;
        }
        told.distinct += 1;
        let number = u64::from(number);
        told.reordered += u64::from(number < told.highest);
        told.highest = told.highest.max(number);
    }

    /// What is told of it.
    pub(super) fn told(&self) -> ClientRecord {
        self.told.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_below_the_highest_is_reordered_once_and_then_a_duplicate() {
        let mut numbers = Numbers::default();
        for number in [0, 1, 4, 2, 4, 2, 3, 5, 0] {
            numbers.take(number);
        }
        let expected = ClientRecord {
            datagrams: 9,
            distinct: 6,
            duplicates: 3,
            reordered: 2,
            highest: 5,
        };
        assert_eq!(numbers.told(), expected);
    }
}
