//! One version beside another: faster, slower, equivalent, or cannot tell.
//!
//! [`design`] is what a run sets out to compare; this module holds what came of it.
//! [`blocks`] takes the figures from the evidence and `conduct` what became of requests
//! and processes; [`metrics`] says how much matters; [`ranks`], [`signed_rank`],
//! [`rank_sum`], [`holm`] and [`detectable`] are the statistics; [`word`] names what they
//! say, and [`judge`] puts it all together.

pub mod blocks;
mod conduct;
#[cfg(test)]
mod coverage;
pub mod design;
pub mod detectable;
pub mod holm;
pub mod judge;
pub mod metrics;
mod notes;
pub mod rank_sum;
pub mod ranks;
mod sample;
pub mod signed_rank;
mod why;
pub mod word;

use serde::{Deserialize, Serialize};

use crate::bound::Metric;
use design::Conduct;

/// What came of comparing one candidate with the baseline, over all scenarios of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The descriptor of what it is compared with.
    pub baseline: String,
    /// The descriptor of what is compared.
    pub candidate: String,
    /// The verdict over all scenarios and metrics.
    pub word: Word,
    /// Why, in one sentence.
    pub why: String,
    /// What to know when reading it, such as that nothing was interleaved.
    pub notes: Vec<String>,
    /// Scenario by scenario.
    pub scenarios: Vec<ScenarioComparison>,
}

/// One candidate beside the baseline in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioComparison {
    /// The scenario's name.
    pub scenario: String,
    /// The verdict over all its metrics.
    pub word: Word,
    /// Why, in one sentence.
    pub why: String,
    /// Pairs all of whose blocks are valid; beside an earlier run, the valid blocks of
    /// the side that has fewer.
    pub pairs: usize,
    /// Pairs that were left out, each with the reason.
    pub left_out: Vec<String>,
    /// What became of the baseline's requests and processes.
    pub baseline: Conduct,
    /// What became of the candidate's.
    pub candidate: Conduct,
    /// Metric by metric.
    pub metrics: Vec<MetricComparison>,
}

/// One metric of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricComparison {
    /// Which.
    pub metric: Metric,
    /// Whether its verdict counts; others are for information.
    pub is_judged: bool,
    /// Median over the baseline's blocks, in the metric's unit (times in microseconds).
    pub baseline: f64,
    /// Median over the candidate's blocks.
    pub candidate: f64,
    /// ln(candidate / baseline) of each pair, in order. Empty beside an earlier run, of
    /// which no block belongs to one of now.
    pub differences: Vec<f64>,
    /// The same of pairs of the baseline with itself; empty if there are none.
    pub noise: Vec<f64>,
    /// Candidate over baseline: the Hodges-Lehmann estimate.
    pub ratio: f64,
    /// The least ratio that the differences allow at this `level`; none if there are too
    /// few of them.
    pub low: Option<f64>,
    /// The largest.
    pub high: Option<f64>,
    /// The exact sign-flip test of no difference, two-sided; beside an earlier run, that
    /// of the rank sum.
    pub p: f64,
    /// The level at which it was tested: 0.05, divided as Holm does.
    pub level: f64,
    /// The ratio that matters: 0.05 means 5 % more or less.
    pub margin: f64,
    /// The smallest change, as a ratio (0.03: 3 %), that would be told from none four
    /// times in five, judging by the noise. None without noise.
    pub detectable: Option<f64>,
    /// The verdict.
    pub word: Word,
}

/// What can be said of a difference. In the order of precedence when several are put
/// together: the first that occurs is the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The candidate died, hung, or let its upstream die, where the baseline did not.
    Crashed,
    /// The candidate loses, mixes up or fails more than the baseline.
    WorseIntegrity,
    /// Too few valid pairs to say anything.
    Invalid,
    /// Worse by more than the margin.
    Slower,
    /// The baseline differs from itself by more than the margin.
    Unstable,
    /// The interval is too wide to say on which side of the margin it lies.
    Inconclusive,
    /// Better by more than the margin.
    Faster,
    /// There is a difference, and it is smaller than the margin.
    ChangedWithinMargin,
    /// No difference was seen, and one beyond the margin is ruled out.
    Equivalent,
}

impl Word {
    /// As in a sentence.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::WorseIntegrity => "worse integrity",
            Self::Invalid => "invalid",
            Self::Slower => "slower",
            Self::Unstable => "unstable",
            Self::Inconclusive => "inconclusive",
            Self::Faster => "faster",
            Self::ChangedWithinMargin => "changed within margin",
            Self::Equivalent => "equivalent",
        }
    }

    /// What it means to somebody who has to decide.
    #[must_use]
    pub fn gravity(self) -> Gravity {
        match self {
            Self::Crashed | Self::WorseIntegrity | Self::Slower => Gravity::Worse,
            Self::Invalid | Self::Unstable | Self::Inconclusive => Gravity::Open,
            Self::Faster | Self::ChangedWithinMargin | Self::Equivalent => Gravity::Fine,
        }
    }
}

/// What a word means to somebody who has to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// It is a regression.
    Worse,
    /// It cannot be told.
    Open,
    /// Nothing speaks against it.
    Fine,
}
