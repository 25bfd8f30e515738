//! What the load clients measured, added up over the blocks of each subject.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use loadgen::record::{LoadRecord, Percentiles};
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::evidence::{Block, LoadEvidence};
use crate::run::ScenarioRun;
use lines::{lines, lines_per_cpu_s, lines_per_s, of_all_rounds};
use notes::{of_a_kind, once};

pub use lines::LineFigures;

mod lines;
mod notes;

/// Samples below which no 99.9th percentile is given: ten beyond it.
const P99_9_SAMPLES: u64 = 10_000;

/// The figures of one load against one subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The descriptor of what was under test.
    pub subject: String,
    /// The load's name.
    pub load: String,
    /// Blocks with a record.
    pub blocks: usize,
    /// Those among them whose load client kept its schedule. Only these count, if there
    /// is one.
    pub valid_blocks: usize,
    /// Why the others are not valid, each reason once.
    pub invalid_reasons: Vec<String>,
    /// What to know when reading the figures; notes that differ only in numbers once.
    pub notes: Vec<String>,
    /// Requests per second, mean over the blocks.
    pub rate: f64,
    /// Response time, all blocks in one histogram.
    pub response_us: Percentiles,
    /// Service time, likewise.
    pub service_us: Percentiles,
    /// How late the load client was, likewise.
    pub send_lag_us: Percentiles,
    /// The response-time histogram, HdrHistogram V2 with deflate, base64.
    pub response_histogram: String,
    /// Median over the rounds of what stands between adds to the median of going
    /// direct in the same round, in microseconds.
    pub added_p50_us: Option<f64>,
    /// The same for the 99th percentile.
    pub added_p99_us: Option<f64>,
    /// CPU time of the proxy's process tree for each request, median over the blocks.
    pub cpu_us_per_msg: Option<f64>,
    /// The most resident memory of the proxy's process tree in any block.
    pub peak_memory_bytes: Option<u64>,
    /// Gigabits per second of a bulk transfer, both directions together; median over the
    /// blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gbit_per_s: Option<f64>,
    /// Gigabits of it for each second of CPU time of the proxy's process tree, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gbit_per_cpu_s: Option<f64>,
    /// What became of lines of statsd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<LineFigures>,
    /// Beside the peer, median over the rounds of the ratio within the round.
    pub beside_peer: Option<Ratios>,
}

impl Figures {
    /// Whether the times may be judged: most blocks are valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.blocks > 0 && 2 * self.valid_blocks > self.blocks
    }

    /// Why not: the first reason, and how many more there are.
    #[must_use]
    pub fn why_invalid(&self) -> String {
        match self.invalid_reasons.as_slice() {
            [] => "no reason given".to_owned(),
            [one] => one.clone(),
            [first, more @ ..] => format!("{first}; and {} more", more.len()),
        }
    }
}

/// Ours over the peer's, of the same round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ratios {
    /// The peer's descriptor.
    pub peer: String,
    /// Requests per second.
    pub rate: Option<f64>,
    /// Median response time.
    pub p50: Option<f64>,
    /// 99th percentile of response time.
    pub p99: Option<f64>,
    /// CPU time for each request.
    pub cpu: Option<f64>,
    /// Peak memory.
    pub peak_memory: Option<f64>,
    /// Gigabits per second of a bulk transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<f64>,
    /// Gigabits of it for each second of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_cpu_s: Option<f64>,
    /// Lines of statsd that came to a server per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<f64>,
    /// The same for each second of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines_per_cpu_s: Option<f64>,
}

/// What the subject is called that is no proxy at all.
pub const DIRECT: &str = "direct";

/// The subject that is the proxy of this workspace.
pub const BUILTIN: &str = "builtin";

/// One row for each subject and load, in the order of their first appearance.
#[must_use]
pub fn of(scenario: &ScenarioRun) -> Vec<Figures> {
    let mut keys: Vec<(String, String)> = Vec::new();
    for block in &scenario.blocks {
        for load in block.loads.iter().filter(|load| load.record.is_some()) {
            let key = (block.subject.clone(), load.name.clone());
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    // A row without a proxy is what the others are compared with: it comes first.
    keys.sort_by_key(|(subject, _)| subject != DIRECT);
    let peer = peer(&scenario.header.subjects);
    keys.iter()
        .map(|(subject, load)| row(&scenario.blocks, subject, load, peer))
        .collect()
}

/// Whom the others are set beside: the first that is somebody else's, or if all are ours, in
/// several forms, the second form.
fn peer(subjects: &[String]) -> Option<&String> {
    let is_ours = |subject: &str| subject.split(' ').next() == Some(BUILTIN);
    let others = || subjects.iter().filter(|subject| *subject != DIRECT);
    others()
        .find(|subject| !is_ours(subject))
        .or_else(|| others().nth(1))
}

fn row(blocks: &[Block], subject: &str, load: &str, peer: Option<&String>) -> Figures {
    let all = cells(blocks, subject, load);
    let valid: Vec<&Cell<'_>> = all.iter().filter(|cell| cell.record.valid).collect();
    let used: Vec<&Cell<'_>> = if valid.is_empty() {
        all.iter().collect()
    } else {
        valid.clone()
    };
    let response = merged(&used, "response");
    let direct = valid_cells(blocks, DIRECT, load);
    let added = |figure: fn(&Cell<'_>) -> Option<f64>| {
        (subject != DIRECT)
            .then(|| per_round(&used, &direct, figure, |own, other| own - other))
            .flatten()
    };
    Figures {
        subject: subject.to_owned(),
        load: load.to_owned(),
        blocks: all.len(),
        valid_blocks: valid.len(),
        invalid_reasons: once(all.iter().flat_map(|cell| &cell.record.invalid_reasons)),
        notes: of_a_kind(all.iter().flat_map(|cell| &cell.record.notes)),
        rate: used
            .iter()
            .map(|cell| cell.record.achieved_rate)
            .sum::<f64>()
            / used.len().max(1) as f64,
        response_us: percentiles(response.as_ref()),
        service_us: percentiles(merged(&used, "service").as_ref()),
        send_lag_us: percentiles(merged(&used, "send_lag").as_ref()),
        response_histogram: response.as_ref().map(encode).unwrap_or_default(),
        added_p50_us: added(p50),
        added_p99_us: added(p99),
        cpu_us_per_msg: median(used.iter().filter_map(|cell| cell.load.cpu_us_per_msg())),
        peak_memory_bytes: used.iter().filter_map(|cell| peak_memory(cell)).max(),
        gbit_per_s: median(used.iter().filter_map(|cell| cell.load.gbit_per_s())),
        gbit_per_cpu_s: median(used.iter().filter_map(|cell| cell.load.gbit_per_cpu_s())),
        lines: lines(&all),
        beside_peer: peer
            .filter(|peer| subject != DIRECT && *peer != subject)
            .map(|peer| Ratios {
                lines: of_all_rounds(&all, blocks, peer, load, lines_per_s),
                lines_per_cpu_s: of_all_rounds(&all, blocks, peer, load, lines_per_cpu_s),
                ..beside(&used, &valid_cells(blocks, peer, load), peer)
            }),
    }
}

/// One load in one block.
struct Cell<'a> {
    round: u32,
    block: &'a Block,
    load: &'a LoadEvidence,
    record: &'a LoadRecord,
}

impl Cell<'_> {
    fn account(&self) -> Option<&Account> {
        self.block.account.as_ref()
    }
}

fn p50(cell: &Cell<'_>) -> Option<f64> {
    cell.record.latency_us.response.p50
}

fn p99(cell: &Cell<'_>) -> Option<f64> {
    cell.record.latency_us.response.p99
}

fn peak_memory(cell: &Cell<'_>) -> Option<u64> {
    cell.block.proxy.as_ref()?.peak_bytes()
}

fn cells<'a>(blocks: &'a [Block], subject: &str, load: &str) -> Vec<Cell<'a>> {
    let mut cells = Vec::new();
    for block in blocks.iter().filter(|block| block.subject == subject) {
        for evidence in block.loads.iter().filter(|evidence| evidence.name == load) {
            if let Some(record) = &evidence.record {
                cells.push(Cell {
                    round: block.round,
                    block,
                    load: evidence,
                    record,
                });
            }
        }
    }
    cells
}

/// What others are compared with: the figures of a client that came late are no measure.
fn valid_cells<'a>(blocks: &'a [Block], subject: &str, load: &str) -> Vec<Cell<'a>> {
    let mut cells = cells(blocks, subject, load);
    cells.retain(|cell| cell.record.valid);
    cells
}

fn beside(own: &[&Cell<'_>], peer: &[Cell<'_>], name: &str) -> Ratios {
    let ratio = |figure: fn(&Cell<'_>) -> Option<f64>| {
        per_round(own, peer, figure, |own, other| own / other).filter(|ratio| ratio.is_finite())
    };
    Ratios {
        peer: name.to_owned(),
        rate: ratio(|cell| Some(cell.record.achieved_rate)),
        p50: ratio(p50),
        p99: ratio(p99),
        cpu: ratio(|cell| cell.load.cpu_us_per_msg()),
        peak_memory: ratio(|cell| peak_memory(cell).map(|bytes| bytes as f64)),
        throughput: ratio(|cell| cell.load.gbit_per_s()),
        per_cpu_s: ratio(|cell| cell.load.gbit_per_cpu_s()),
        lines: None,
        lines_per_cpu_s: None,
    }
}

/// The median over the rounds of `join` of both figures of the round.
fn per_round(
    own: &[&Cell<'_>],
    other: &[Cell<'_>],
    figure: fn(&Cell<'_>) -> Option<f64>,
    join: fn(f64, f64) -> f64,
) -> Option<f64> {
    median(own.iter().filter_map(|cell| {
        let beside = other.iter().find(|other| other.round == cell.round)?;
        Some(join(figure(cell)?, figure(beside)?))
    }))
}

/// The middle value, or the mean of the two in the middle.
#[must_use]
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

fn merged(cells: &[&Cell<'_>], name: &str) -> Option<Histogram<u64>> {
    let mut sum: Option<Histogram<u64>> = None;
    for one in cells
        .iter()
        .filter_map(|cell| decode(cell.record.histograms.get(name)?))
    {
        match &mut sum {
            None => sum = Some(one),
            // Both have the bounds of the record's documentation; one that has others
            // and does not fit is left out rather than bent.
            Some(sum) => drop(sum.add(&one)),
        }
    }
    sum
}

/// Reads a histogram as load records hold them; none if it is not one.
#[must_use]
pub fn decode(text: &str) -> Option<Histogram<u64>> {
    let bytes = STANDARD.decode(text).ok()?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}

/// Writes a histogram as load records hold them.
#[must_use]
pub fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    let written = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
    written.map(|_| STANDARD.encode(bytes)).unwrap_or_default()
}

fn percentiles(histogram: Option<&Histogram<u64>>) -> Percentiles {
    let Some(histogram) = histogram.filter(|histogram| !histogram.is_empty()) else {
        return Percentiles::default();
    };
    let at = |q: f64| Some(histogram.value_at_quantile(q) as f64 / 1e3);
    Percentiles {
        count: histogram.len(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p99_9: at(0.999).filter(|_| histogram.len() >= P99_9_SAMPLES),
        max: Some(histogram.max() as f64 / 1e3),
        mean: Some(histogram.mean() / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median([f64::NAN, 1.0].into_iter()), Some(1.0));
    }

    #[test]
    fn few_samples_have_no_extreme_percentile() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        for nanos in 1..=9_999_u64 {
            histogram.record(nanos * 1_000).unwrap();
        }
        assert_eq!(percentiles(Some(&histogram)).p99_9, None);
        histogram.record(10_000_000).unwrap();
        assert!(percentiles(Some(&histogram)).p99_9.is_some());
    }

    #[test]
    fn notes_of_a_kind_are_told_once() {
        let notes = [
            "closed loop",
            "3 waited",
            "closed loop",
            "17 waited",
            "5 waited",
        ];
        let notes = notes.map(str::to_owned);
        assert_eq!(
            of_a_kind(notes.iter()),
            ["closed loop", "3 waited (one block; the like in 2 more)"]
        );
    }

    proptest! {
        #[test]
        fn a_histogram_survives_its_encoding(values in proptest::collection::vec(1_u64..3_600_000_000_000, 1..50)) {
            let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
            for value in values {
                histogram.record(value).unwrap();
            }
            let back = decode(&encode(&histogram)).unwrap();
            prop_assert_eq!(back, histogram);
        }
    }
}
