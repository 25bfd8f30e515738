//! The highest rate that holds: what was planned, what was measured, what it says.
//!
//! `plan` says what is searched for, `judged` what one block showed, `search` which rate is
//! tried next, and `found` what came of it all. Nothing else is kept: the search is a function of the blocks that
//! were measured, so a run file can be judged again.

mod found;
mod judged;
mod plan;
mod search;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub(crate) use found::rate;
pub use found::{of, verdict};
pub use plan::CapacityPlan;
pub use search::{most_blocks, usual_blocks};

use serde::{Deserialize, Serialize};

use crate::bound::Metric;
use crate::evidence::Block;
use search::Search;

/// The figures that a rate can be bounded by: those that grow with it, or with what it
/// does to a queue.
pub const METRICS: [Metric; 8] = [
    Metric::P50,
    Metric::P90,
    Metric::P99,
    Metric::P99_9,
    Metric::Max,
    Metric::CpuPerMsg,
    Metric::PeakMemory,
    Metric::Missing,
];

/// The rate that is to be tried next on a subject, after those of its blocks so far; none
/// if it is known well enough, or cannot be known.
#[must_use]
pub fn next<'a>(plan: &CapacityPlan, blocks: impl IntoIterator<Item = &'a Block>) -> Option<f64> {
    replayed(plan, blocks).0.asks()
}

/// The search as it stands after these blocks of one subject, and what they showed.
fn replayed<'p, 'a>(
    plan: &'p CapacityPlan,
    blocks: impl IntoIterator<Item = &'a Block>,
) -> (Search<'p>, Vec<Point>) {
    let mut search = Search::new(plan);
    let mut points = Vec::new();
    for block in blocks {
        let offered = block.rate.unwrap_or(plan.first_rate);
        let (point, showed) = judged::block(block, &plan.bound, search.round, offered);
        points.push(point);
        search.take(offered, showed);
    }
    (search, points)
}

/// What a search found for one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The descriptor of what was measured.
    pub subject: String,
    /// The highest rate that holds: median over the rounds. Where none came to its end,
    /// what held until then; none if no rate did.
    pub rate: Option<f64>,
    /// The least that a round found.
    pub low: Option<f64>,
    /// The most that a round found.
    pub high: Option<f64>,
    /// What each round found. Fewer than the plan has if some found no rate that holds.
    pub rounds: Vec<f64>,
    /// What ended the climb: the bound, or the load client itself, in which case the
    /// subject may take more.
    pub limited_by: Limit,
    /// In one sentence.
    pub why: String,
    /// Everything that was measured, in order.
    pub points: Vec<Point>,
}

/// What ended the climb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The bound did not hold any more.
    Bound,
    /// The load client could not send more: the capacity is at least this.
    LoadClient,
    /// Rates beyond [`CapacityPlan::most`] were not tried.
    Most,
    /// The search was cut short, or ran out of blocks.
    Unfinished,
}

/// One block of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Which round of closing in; 0 is the climb before the first.
    pub round: u32,
    /// Requests per second asked for.
    pub offered: f64,
    /// Requests per second written.
    pub achieved: f64,
    /// Median response time in microseconds.
    pub p50_us: Option<f64>,
    /// 99th percentile in microseconds.
    pub p99_us: Option<f64>,
    /// The figure that the bound speaks of, in its unit. None if nothing measured it, or
    /// if it lies beyond every answer because too many requests never got one.
    pub value: Option<f64>,
    /// Whether the bound held, everything was answered, and the rate was achieved.
    pub holds: bool,
    /// Why the load client says that its figures may not be judged, if it does. A bound
    /// that holds nevertheless holds: a client that comes late makes times longer.
    pub invalid: Option<String>,
}
