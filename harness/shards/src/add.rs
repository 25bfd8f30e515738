//! Adding up what shards counted: counts of requests, connections, lines and datagrams.

use std::collections::BTreeMap;

use loadgen::record::{Bulk, Counts, Idle, Statsd, Udp};

/// Adds to a sum. One that overflows is of no use to anybody, and no reason to die.
pub(crate) fn add(sum: &mut u64, own: u64) {
    *sum = sum.saturating_add(own);
}

fn add_kinds(sum: &mut BTreeMap<String, u64>, own: &BTreeMap<String, u64>) {
    for (kind, own) in own {
        add(sum.entry(kind.clone()).or_default(), *own);
    }
}

pub(crate) fn counts(sum: &mut Counts, own: &Counts) {
    // Every field is named, so that one more cannot be forgotten here.
    let Counts {
        sent,
        acked,
        naked,
        failed,
        unanswered,
        one_way,
        never_written,
        extra_answers,
        connections,
        connect_failed,
        connections_completed,
        connections_closed_idle,
        connections_broken,
        idle,
    } = own;
    add(&mut sum.sent, *sent);
    add(&mut sum.acked, *acked);
    add(&mut sum.naked, *naked);
    add_kinds(&mut sum.failed, failed);
    add(&mut sum.unanswered, *unanswered);
    add(&mut sum.one_way, *one_way);
    add(&mut sum.never_written, *never_written);
    add_kinds(&mut sum.extra_answers, extra_answers);
    add(&mut sum.connections, *connections);
    add_kinds(&mut sum.connect_failed, connect_failed);
    add(&mut sum.connections_completed, *connections_completed);
    add(&mut sum.connections_closed_idle, *connections_closed_idle);
    add_kinds(&mut sum.connections_broken, connections_broken);
    if let Some(own) = idle {
        add_idle(sum.idle.get_or_insert_default(), own);
    }
}

fn add_idle(sum: &mut Idle, own: &Idle) {
    let Idle {
        asked,
        opened,
        connect_failed,
        open_at_end,
        answered,
        failed,
    } = own;
    add(&mut sum.asked, *asked);
    add(&mut sum.opened, *opened);
    add_kinds(&mut sum.connect_failed, connect_failed);
    add(&mut sum.open_at_end, *open_at_end);
    add(&mut sum.answered, *answered);
    add_kinds(&mut sum.failed, failed);
}

/// Bytes are added; rates are those of all the bytes in the longest time that one took.
pub(crate) fn bulk(sum: &mut Option<Bulk>, own: Option<Bulk>, measured_s: f64) {
    let Some(own) = own else { return };
    let sum = sum.get_or_insert_with(|| Bulk {
        direction: own.direction.clone(),
        ..Bulk::default()
    });
    add(&mut sum.bytes_sent, own.bytes_sent);
    add(&mut sum.bytes_received, own.bytes_received);
    add(&mut sum.wrong_bytes, own.wrong_bytes);
    add(&mut sum.missing_bytes, own.missing_bytes);
    let both = sum.first_wrong_at.into_iter().chain(own.first_wrong_at);
    sum.first_wrong_at = both.min();
    let per_s = |bytes: u64| bytes as f64 / measured_s.max(1e-9);
    sum.sent_bytes_per_s = per_s(sum.bytes_sent);
    sum.received_bytes_per_s = per_s(sum.bytes_received);
    sum.sent_gbit_per_s = sum.sent_bytes_per_s * 8e-9;
    sum.received_gbit_per_s = sum.received_bytes_per_s * 8e-9;
}

/// Lines are those of the whole: numbers, and ranges of those not sent, are of one row.
pub(crate) fn statsd(sum: &mut Option<Statsd>, own: Option<Statsd>) {
    let Some(own) = own else { return };
    let Some(sum) = sum else {
        *sum = Some(own);
        return;
    };
    for (sum, own) in [
        (&mut sum.lines_total, own.lines_total),
        (&mut sum.datagrams_total, own.datagrams_total),
        (&mut sum.bytes_total, own.bytes_total),
        (&mut sum.numbers, own.numbers),
        (&mut sum.datagrams_refused, own.datagrams_refused),
        (&mut sum.datagrams, own.datagrams),
        (&mut sum.bytes, own.bytes),
    ] {
        add(sum, own);
    }
    add_kinds(&mut sum.not_sent, &own.not_sent);
    sum.not_sent_ranges.extend(own.not_sent_ranges);
    sum.not_sent_ranges_complete &= own.not_sent_ranges_complete;
    sum.lines_per_s += own.lines_per_s;
    sum.datagrams_per_s += own.datagrams_per_s;
    sum.bytes_per_s += own.bytes_per_s;
    sum.segmentation |= own.segmentation;
}

/// Puts ranges in order and joins neighbours. None if two have a number in common.
pub(crate) fn joined(mut ranges: Vec<[u64; 2]>) -> Option<Vec<[u64; 2]>> {
    ranges.sort_unstable();
    let mut joined: Vec<[u64; 2]> = vec![];
    for [first, last] in ranges {
        match joined.last_mut() {
            Some([_, end]) if first <= *end => return None,
            Some([_, end]) if *end + 1 == first => *end = last,
            _ => joined.push([first, last]),
        }
    }
    Some(joined)
}

/// What names the run of datagrams differs from process to process, and is part of the names
/// of their clients: that of the whole is the first one's.
pub(crate) fn udp(sum: &mut Option<Udp>, own: Option<Udp>) {
    let Some(own) = own else { return };
    let Some(sum) = sum else {
        *sum = Some(own);
        return;
    };
    for (sum, own) in [
        (&mut sum.sent, own.sent),
        (&mut sum.bytes_sent, own.bytes_sent),
        (&mut sum.received, own.received),
        (&mut sum.returned, own.returned),
        (&mut sum.lost, own.lost),
        (&mut sum.late, own.late),
        (&mut sum.reordered, own.reordered),
        (&mut sum.duplicated, own.duplicated),
        (&mut sum.corrupted, own.corrupted),
        (&mut sum.misrouted, own.misrouted),
        (&mut sum.unexpected, own.unexpected),
        (&mut sum.datagrams_refused, own.datagrams_refused),
        (&mut sum.kernel_drops, own.kernel_drops),
    ] {
        add(sum, own);
    }
    add_kinds(&mut sum.not_sent, &own.not_sent);
    sum.segmentation |= own.segmentation;
    sum.clients.extend(own.clients);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_that_overlap_are_no_sum() {
        assert_eq!(joined(vec![[4, 9], [0, 3]]), Some(vec![[0, 9]]));
        assert_eq!(joined(vec![[4, 9], [0, 4]]), None);
        assert_eq!(joined(vec![[4, 9], [4, 9]]), None);
    }

    proptest! {
        #[test]
        fn ranges_of_shards_are_the_numbers_and_no_others(
            owners in proptest::collection::vec(0..4_usize, 0..60),
        ) {
            // Shard 0 sends what it is to send; of the others nothing is.
            let ranges: Vec<[u64; 2]> = owners.iter().enumerate()
                .filter(|(_, owner)| **owner > 0)
                .map(|(number, _)| [number as u64; 2])
                .rev()
                .collect();
            let all = joined(ranges).unwrap();
            prop_assert!(all.windows(2).all(|pair| pair[0][1] + 1 < pair[1][0]));
            for (number, owner) in owners.iter().enumerate() {
                let number = number as u64;
                let is_in = all.iter().any(|[first, last]| (*first..=*last).contains(&number));
                prop_assert_eq!(is_in, *owner > 0);
            }
        }
    }
}
