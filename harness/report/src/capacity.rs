//! The highest rate that holds: what was planned, what was measured, what it says.

use serde::{Deserialize, Serialize};

use crate::bound::Bound;

/// A search for the highest rate at which a bound holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityPlan {
    /// What must hold, such as `p99 < 2ms`.
    pub bound: Bound,
    /// The first rate that is tried.
    pub first_rate: f64,
    /// How closely the highest rate is closed in on: 0.05 means within 5 %.
    pub resolution: f64,
    /// How often it is closed in on again, to see how certain it is.
    pub rounds: u32,
    /// Rates beyond this are not tried.
    pub most: f64,
}

/// What a search found for one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The descriptor of what was measured.
    pub subject: String,
    /// The highest rate that holds: median over the rounds. None if no rate held.
    pub rate: Option<f64>,
    /// The least that a round found.
    pub low: Option<f64>,
    /// The most that a round found.
    pub high: Option<f64>,
    /// What each round found.
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
    /// The search was cut short.
    Unfinished,
}

/// One block of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Which round of closing in.
    pub round: u32,
    /// Requests per second asked for.
    pub offered: f64,
    /// Requests per second written.
    pub achieved: f64,
    /// Median response time in microseconds.
    pub p50_us: Option<f64>,
    /// 99th percentile in microseconds.
    pub p99_us: Option<f64>,
    /// The figure that the bound speaks of, in its unit.
    pub value: Option<f64>,
    /// Whether the bound held.
    pub holds: bool,
    /// Why the load client's figures may not be judged, if they may not.
    pub invalid: Option<String>,
}
