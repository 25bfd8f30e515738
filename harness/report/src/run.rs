//! The run file: all that a run showed, and what it means.

use serde::{Deserialize, Serialize};

use crate::capacity::Capacity;
use crate::compare::Comparison;
use crate::compare::design::Noise;
use crate::event::{RunHeader, ScenarioHeader, Stamped};
use crate::evidence::Block;
use crate::figures::Figures;
use crate::reconcile::Row;
use crate::verdict::Verdict;

/// Version of the run file. It grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 2;

/// One run of the harness: one or more scenarios.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was known before it started.
    #[serde(flatten)]
    pub header: RunHeader,
    /// Monotonic start.
    pub started_mono_ns: u64,
    /// How long it took.
    pub elapsed_s: f64,
    /// What the harness ends with: see [`crate::verdict::exit_code`].
    pub exit_code: u8,
    /// Who ended it, if it was cut short.
    pub interrupted: Option<Interruption>,
    /// What went wrong with the harness itself.
    pub failures: Vec<String>,
    /// Its scenarios.
    pub scenarios: Vec<ScenarioRun>,
    /// What came of what it set out to compare, one for each candidate.
    #[serde(default)]
    pub comparisons: Vec<Comparison>,
    /// What happened, in order: starts, deaths, ends. Looks, probes and slices of load
    /// are in the evidence.
    pub events: Vec<Stamped>,
}

/// Who ended a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interruption {
    /// The name of the signal.
    pub signal: String,
    /// The exit code that goes with it.
    pub exit_code: u8,
}

/// One scenario of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScenarioRun {
    /// What was known before it started.
    #[serde(flatten)]
    pub header: ScenarioHeader,
    /// Whether it came to its planned end.
    pub complete: bool,
    /// What kept it from running as planned.
    pub problem: Option<String>,
    /// What was seen, block by block.
    pub blocks: Vec<Block>,
    /// What the load clients measured, added up for each subject.
    pub figures: Vec<Figures>,
    /// Everybody's counts beside each other.
    pub reconciliation: Vec<Row>,
    /// What it means.
    pub verdicts: Vec<Verdict>,
    /// How much the baseline differs from itself, if that was known before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// The highest rates that hold, one for each subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity: Vec<Capacity>,
}

impl ScenarioRun {
    /// The descriptor of what is judged.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.header.subjects.first().map_or("", String::as_str)
    }

    /// The blocks of what is judged.
    pub fn judged(&self) -> impl Iterator<Item = &Block> {
        self.blocks
            .iter()
            .filter(|block| block.subject == self.subject())
    }

    /// The blocks of the other subjects.
    pub fn beside(&self) -> impl Iterator<Item = &Block> {
        self.blocks
            .iter()
            .filter(|block| block.subject != self.subject())
    }

    /// What the proxy does: `foo` unless the scenario says something else.
    #[must_use]
    pub fn mode(&self) -> &str {
        let mode = self.header.config.pointer("/proxy/mode");
        mode.and_then(serde_json::Value::as_str).unwrap_or("foo")
    }

    /// Whether garbage is part of it.
    #[must_use]
    pub fn has_garbage(&self) -> bool {
        self.blocks.iter().any(|block| !block.fuzzes.is_empty())
    }
}
