//! What one block of a search showed.
//!
//! Times count from when a request was due, so whatever keeps the load client from its
//! work makes them longer, never shorter: a bound that holds although the client came
//! late holds. One that does not may be the client's failure instead of the subject's,
//! and then says nothing. On a machine whose cores client, proxy and server share, that
//! is how a search often ends.

use loadgen::record::{Counts, LoadRecord, Percentiles};
use loadgen::validity::{LEAST_ACHIEVED, MOST_BUSY};

use super::Point;
use super::search::Showed;
use crate::bound::{Bound, Metric};
use crate::event::{Role, ScenarioHeader};
use crate::evidence::Block;
use crate::figures::{self, Figures};
use crate::health::{self, Status};
use crate::run::ScenarioRun;
use crate::text::number;
use crate::verdict;

/// Share of a response time beyond which it is mostly the client's own lateness.
const MOSTLY: f64 = 0.5;

/// Share of the rate below which it was missed by far.
const OVERLOADED: f64 = 0.9;

/// The point of a block, and what it means for the search.
pub(super) fn block(block: &Block, bound: &Bound, round: u32, offered: f64) -> (Point, Showed) {
    let alone = ScenarioRun {
        header: ScenarioHeader {
            subjects: vec![block.subject.clone()],
            ..ScenarioHeader::default()
        },
        blocks: vec![block.clone()],
        ..ScenarioRun::default()
    };
    let figures = figures::of(&alone);
    let record = block.loads.iter().find_map(|load| load.record.as_ref());
    let (Some(figures), Some(record)) = (figures.first(), record) else {
        let showed = down(block).unwrap_or_else(|| {
            let problem = block.problem.as_deref();
            Showed::Nothing(
                problem
                    .unwrap_or("the load client left no record")
                    .to_owned(),
            )
        });
        return (nothing(round, offered), showed);
    };
    let figure = verdict::figure(&alone, figures, bound.metric);
    let showed = down(block).unwrap_or_else(|| match &figure {
        Some((value, said)) => showed(figures, record, bound, offered, *value, said),
        None => {
            let word = bound.metric.word();
            Showed::Nothing(format!("too few samples, or nothing measured {word}"))
        }
    });
    let point = Point {
        achieved: record.achieved_rate,
        p50_us: figures.response_us.p50,
        p99_us: figures.response_us.p99,
        value: figure
            .map(|(value, _)| value)
            .filter(|value| value.is_finite()),
        holds: showed == Showed::Holds,
        invalid: (!record.valid).then(|| figures.why_invalid()),
        ..nothing(round, offered)
    };
    (point, showed)
}

fn nothing(round: u32, offered: f64) -> Point {
    Point {
        round,
        offered,
        achieved: 0.0,
        p50_us: None,
        p99_us: None,
        value: None,
        holds: false,
        invalid: None,
    }
}

/// Whether the proxy or the upstream did not live through it.
fn down(block: &Block) -> Option<Showed> {
    [Role::Proxy, Role::Upstream].into_iter().find_map(|role| {
        let status = health::status(block, role);
        let is_gone = matches!(status, Status::Died { .. } | Status::Hung | Status::Refuses);
        is_gone.then(|| Showed::Down(format!("the {} {status}", role.word())))
    })
}

fn showed(
    figures: &Figures,
    record: &LoadRecord,
    bound: &Bound,
    offered: f64,
    value: f64,
    said: &str,
) -> Showed {
    let is_within = bound.op.holds(value, bound.value);
    let wrong = went_wrong(record);
    let is_short = record.achieved_rate < offered * LEAST_ACHIEVED
        // One request more or less says nothing about a block of a few.
        && (offered - record.achieved_rate) * record.measured_s > 1.0;
    if is_within && wrong.is_none() && !is_short {
        return Showed::Holds;
    }
    if !record.valid
        && !has_failed(record)
        && let Some(fault) = clients_fault(figures, record, bound, value)
    {
        return Showed::Client(fault);
    }
    let short = || {
        format!(
            "only {} were written: no place was free for the others",
            number::rate(record.achieved_rate)
        )
    };
    let mut why = Vec::new();
    if !is_within {
        why.push(said.to_owned());
    }
    why.extend(wrong);
    if is_short {
        why.push(short());
    }
    let why = why.join(", and ");
    if record.achieved_rate < offered * OVERLOADED {
        Showed::Overloaded(why)
    } else {
        Showed::Fails(why)
    }
}

/// Requests that failed, answers that nobody asked for, and connections that could not be
/// opened.
fn failures(counts: &Counts) -> u64 {
    counts.failed_total()
        + counts.extra_answers.values().sum::<u64>()
        + counts.connect_failed.values().sum::<u64>()
}

/// Whether something went wrong that cannot be the load client's doing. What was never
/// written can be: a client that is too busy to read answers leaves no place for it.
fn has_failed(record: &LoadRecord) -> bool {
    failures(&record.counts) > 0 || record.counts.unanswered > 0
}

/// Requests that went wrong, whatever the bound speaks of.
fn went_wrong(record: &LoadRecord) -> Option<String> {
    let counts = &record.counts;
    let kinds = [
        (failures(counts), "failed"),
        (counts.unanswered, "got no answer"),
        (counts.never_written, "were never written"),
    ];
    let said: Vec<String> = kinds
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} requests {what}", number::count(count)))
        .collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// What the load client did to a block whose figures may not be judged, if the bound would
/// have held without it. A client that came to its requests in time and found no free
/// place waited for the subject: that is no fault of its own.
fn clients_fault(
    figures: &Figures,
    record: &LoadRecord,
    bound: &Bound,
    value: f64,
) -> Option<String> {
    let busy = record.client.busiest_worker;
    if busy > MOST_BUSY {
        let busy = busy * 100.0;
        return Some(format!("a worker was busy for {busy:.0} % of its core"));
    }
    let metric = bound
        .metric
        .quantile()
        .map_or(Metric::P99, |_| bound.metric);
    let lag = at(&figures.send_lag_us, metric)?;
    let is_at_fault = if bound.op.holds(value, bound.value) {
        lag > MOSTLY * at(&figures.response_us, metric)?
    } else {
        bound.metric.quantile().is_some() && bound.op.holds(value - lag, bound.value)
    };
    is_at_fault.then(|| {
        format!(
            "it came late to due requests by {} ({})",
            number::micros(lag),
            metric.word()
        )
    })
}

fn at(times: &Percentiles, metric: Metric) -> Option<f64> {
    match metric {
        Metric::P50 => times.p50,
        Metric::P90 => times.p90,
        Metric::P99_9 => times.p99_9,
        Metric::Max => times.max,
        _ => times.p99,
    }
}
