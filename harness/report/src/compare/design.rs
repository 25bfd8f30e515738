//! What a run sets out to compare: written down before the first block, so that nothing
//! is decided by what is seen on the way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bound::Metric;
use crate::event::Host;

/// What a run compares, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// How blocks of both belong together.
    pub kind: Kind,
    /// What the others are compared with: a descriptor.
    pub baseline: String,
    /// What is compared with it.
    pub candidates: Vec<String>,
    /// Pairs of blocks that are wanted.
    pub pairs: u32,
    /// Pairs that may be run beyond that, each in the place of one that has an invalid block.
    pub spare_pairs: u32,
    /// An earlier run in the place of the baseline's blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// How blocks of both sides belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Blocks in pairs, in randomised ABBA order, told apart by their [`Arm`].
    Pairs,
    /// Many subjects, each with one block in every round; those of one round are a pair.
    Tournament,
    /// Blocks of now beside those of an earlier run: nothing was interleaved.
    History,
}

/// The part of a block in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// One of the baseline's blocks of a pair.
    Baseline,
    /// One of the candidate's.
    Candidate,
    /// In a pair of the baseline with itself, a block of the one side.
    NoiseFirst,
    /// A block of the other side.
    NoiseSecond,
    /// Going direct: how the machine itself changes from one run to another.
    Anchor,
}

/// The figures of one block that are compared. What could not be measured is absent.
pub type BlockFigures = BTreeMap<Metric, f64>;

/// Pairs of the baseline with itself: what this machine calls a difference when there is
/// none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// The run in which they were measured.
    pub run: String,
    /// When.
    pub measured_unix_ms: u64,
    /// The natural logarithm of the ratio of both sides, for each pair.
    pub pairs: Vec<BlockFigures>,
}

/// What an earlier run showed of what is now the baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Its run.
    pub run: String,
    /// When it was.
    pub started_unix_ms: u64,
    /// Its machine.
    pub host: Host,
    /// What it showed, by scenario.
    pub scenarios: Vec<HistoryScenario>,
}

/// What one scenario of an earlier run showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryScenario {
    /// Its name.
    pub name: String,
    /// The valid blocks of what is now the baseline.
    pub blocks: Vec<BlockFigures>,
    /// Those of going direct, beside them.
    pub anchors: Vec<BlockFigures>,
    /// What became of the requests and processes of those blocks.
    pub conduct: Conduct,
}

/// What became of the requests and the processes of one side, all blocks together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conduct {
    /// Blocks.
    pub blocks: u32,
    /// Those among them whose load client did not keep its schedule.
    pub invalid_blocks: u32,
    /// Requests written.
    pub sent: u64,
    /// Answers that were lost, duplicated, reordered, misrouted, corrupted or unexpected,
    /// by kind.
    pub wrong: BTreeMap<String, u64>,
    /// Requests that failed otherwise, without an answer, or never written, and
    /// connections that could not be opened.
    pub failed: u64,
    /// Blocks in which the proxy died, hung or refused, each with how.
    pub proxy_troubles: Vec<String>,
    /// Blocks in which the upstream died or hung, each with how.
    pub upstream_troubles: Vec<String>,
}
