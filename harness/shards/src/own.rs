//! What one shard's record must show by itself.

use std::time::Duration;

use loadgen::record::{Interval, LoadRecord, Shard};
use loadgen::timeline::{Phase, Timeline};
use serde_json::Value;
use service::units::parse_duration;

use crate::refusal::Why;
use crate::sums::Samples;

/// How the words begin in which a shard says itself that it was late.
const READY_LATE: &str = "ready ";

/// The largest count that every reader of JSON keeps whole.
const MOST: u64 = 1 << 53;

/// What the record says of itself: valid, and in time.
pub(crate) fn said(record: &LoadRecord, shard: &Shard) -> Vec<Why> {
    let mut found = Vec::new();
    let is_late = shard.late_ns > shard.late_allowed_ns;
    if is_late {
        found.push(Why::Late {
            late_ns: shard.late_ns,
            allowed_ns: shard.late_allowed_ns,
        });
    }
    let reasons = record.invalid_reasons.iter();
    let reasons: Vec<&str> = reasons
        .filter(|reason| !(is_late && reason.starts_with(READY_LATE)))
        .map(String::as_str)
        .collect();
    let is_told = is_late && reasons.is_empty();
    if !record.valid && !is_told {
        let told = match reasons.as_slice() {
            [] => "it does not say why".to_owned(),
            reasons => reasons.join("; "),
        };
        found.push(Why::Invalid(told));
    }
    found
}

/// Whether its counts add up.
pub(crate) fn counts(record: &LoadRecord, shard: &Shard) -> Option<Why> {
    let counts = &record.counts;
    let ends = [
        counts.acked,
        counts.naked,
        counts.unanswered,
        counts.one_way,
    ];
    let ends = ends.iter().chain(counts.failed.values());
    let ended: u128 = ends.map(|count| u128::from(*count)).sum();
    if counts.sent > MOST || counts.never_written > MOST {
        return sums(format!("it counts more than {MOST}"));
    }
    if ended != u128::from(counts.sent) {
        return sums(format!(
            "{} requests were sent, and {ended} acked, naked, failed, unanswered or one way",
            counts.sent
        ));
    }
    // A slot of statsd is a datagram, and may be several lines.
    let is_a_request = record.statsd.is_none();
    let left = counts.sent + counts.never_written;
    if let Some(slots) = shard.slots.filter(|slots| is_a_request && *slots != left) {
        return sums(format!(
            "{slots} slots were due while measuring, and {left} requests were sent or never written"
        ));
    }
    None
}

/// Whether its histograms hold the same samples.
pub(crate) fn samples(record: &LoadRecord, samples: Samples) -> Option<Why> {
    let said = record.latency_us.response.count;
    if samples.total != said {
        return sums(format!(
            "the histogram of response times holds {} samples, the percentiles are of {said}",
            samples.total
        ));
    }
    // Loads that nobody answers, and bulk, time nothing in slices.
    if samples.slices != samples.total && samples.slices > 0 {
        return sums(format!(
            "the histograms of its intervals hold {} samples, that of all {said}",
            samples.slices
        ));
    }
    None
}

/// Whether its slices of time are those that were planned.
pub(crate) fn slices(record: &LoadRecord) -> Option<Why> {
    let time = |key: &str| {
        let text = record.config.get(key).and_then(Value::as_str)?;
        parse_duration(text).ok()
    };
    let (Some(warmup), Some(interval)) = (time("warmup"), time("interval")) else {
        return sums("its configuration names no warmup or no interval".to_owned());
    };
    let is_limited = record.config.get("requests").is_some_and(|n| !n.is_null());
    let is_lasting = record.target_rate.is_some() && !is_limited;
    let lasting = time("duration").filter(|_| is_lasting);
    let planned = planned(warmup, interval, lasting, record.intervals.len());
    if record.intervals.len() < planned.len() {
        return Some(Why::Short {
            slices: record.intervals.len(),
            planned: planned.len(),
        });
    }
    let is_other = |(interval, is_warmup): &(&Interval, &bool)| interval.warmup != **is_warmup;
    let other = record
        .intervals
        .iter()
        .zip(&planned)
        .position(|pair| is_other(&pair));
    other.and_then(|at| {
        sums(format!(
            "interval {at} belongs to {}, and should not",
            if planned[at] {
                "what is measured"
            } else {
                "the warm-up"
            }
        ))
    })
}

/// Which of the slices that there must be belong to the warm-up: all until the drain, or as
/// many as there are, if it is not time that ends the run.
fn planned(
    warmup: Duration,
    interval: Duration,
    lasting: Option<Duration>,
    there: usize,
) -> Vec<bool> {
    if interval.is_zero() {
        return vec![];
    }
    let timeline = Timeline::planned(0, warmup, lasting, interval);
    // One more than there are shows that some are missing; how many is of no use beyond.
    let most = lasting.map_or(there, |_| MOST_SLICES);
    let mut slice = timeline.first();
    let mut planned = Vec::new();
    while slice.phase != Phase::Drain && planned.len() < most {
        planned.push(slice.phase == Phase::Warmup);
        slice = timeline.after(&slice);
    }
    planned
}

/// Slices of a run at most: a day of the shortest ones.
const MOST_SLICES: usize = 24 * 3_600 * 100;

fn sums(what: String) -> Option<Why> {
    Some(Why::Sums(what))
}
