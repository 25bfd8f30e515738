//! Judging: expectations against evidence, and the exit code that follows.
//!
//! `implied` is what goes without saying; `claims` looks for the evidence of each kind of
//! claim, `measured`, `counts` and `attack` for that of the load clients, `account` for what became of their lines, `phases` for that of the parts before,
//! during and after faults.

mod account;
mod attack;
mod back;
mod claims;
mod counts;
pub(crate) mod delivered;
mod implied;
mod measured;
pub(crate) mod notice;
pub(crate) mod phases;
pub(crate) mod recovery;
#[cfg(test)]
mod tests;
mod touched;

pub use attack::answers_during_attack;
pub(crate) use measured::figure;

use serde::{Deserialize, Serialize};

use crate::compare::design::Kind;
use crate::compare::{Gravity, Word};
use crate::expect::{Claim, Fate, Origin};
use crate::run::{RunFile, ScenarioRun};

/// What came of one expectation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The expectation, as a reader would say it.
    pub expectation: String,
    /// Where it came from.
    pub origin: Origin,
    /// Whether it holds.
    pub outcome: Outcome,
    /// Whether it says that something survives: its failure is exit code 4.
    pub is_survival: bool,
    /// Why.
    pub evidence: String,
}

/// Whether an expectation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It could not be judged.
    Inconclusive,
}

impl Outcome {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

type Finding = (Outcome, String);

/// Judges every expectation of a scenario, those that go without saying included.
#[must_use]
pub fn judge(scenario: &ScenarioRun) -> Vec<Verdict> {
    if scenario.header.compared {
        return Vec::new();
    }
    let implied = implied::expectations(scenario);
    scenario
        .header
        .expectations
        .iter()
        .chain(&implied)
        .map(|expectation| {
            let (outcome, evidence) = if scenario.judged().next().is_none() {
                (Outcome::Inconclusive, "nothing was run".to_owned())
            } else {
                claims::find(scenario, &expectation.claim)
            };
            // What was cut short may show that something breaks, never that it holds, nor
            // that it would not have broken later.
            let is_shown = outcome == Outcome::Fail && !awaits_trouble(&expectation.claim);
            let (outcome, evidence) = if scenario.complete || is_shown {
                (outcome, evidence)
            } else {
                let problem = scenario.problem.as_ref();
                let why = problem.map_or("the scenario was cut short", |_| "see the problem below");
                (
                    Outcome::Inconclusive,
                    format!("{why}; until then: {evidence}"),
                )
            };
            let is_survival = matches!(
                &expectation.claim,
                Claim::SurvivesBeside { .. }
                    | Claim::Fate {
                        fate: Fate::Survives,
                        ..
                    }
            );
            let (text, origin) = (expectation.text.clone(), expectation.origin);
            Verdict {
                expectation: text,
                origin,
                outcome,
                is_survival,
                evidence,
            }
        })
        .collect()
}

fn awaits_trouble(claim: &Claim) -> bool {
    matches!(claim, Claim::Fate { fate, .. } if *fate != Fate::Survives)
}

/// Every word that a comparison ends in: one may not hide another that weighs more. A
/// tournament is a table, and judges nobody.
fn words(run: &RunFile) -> Vec<Word> {
    let design = run.header.design.as_ref();
    let mut words = Vec::new();
    if design.is_none_or(|design| design.kind == Kind::Tournament) {
        return words;
    }
    for comparison in &run.comparisons {
        words.push(comparison.word);
        for scenario in &comparison.scenarios {
            words.push(scenario.word);
            let judged = scenario.metrics.iter().filter(|metric| metric.is_judged);
            words.extend(judged.map(|metric| metric.word));
        }
    }
    words
}

/// The exit code of a run: 130 or 143 if it was interrupted, else the highest of 5, 4,
/// 1, 3 that applies, else 0.
#[must_use]
pub fn exit_code(run: &RunFile) -> u8 {
    if let Some(interruption) = &run.interrupted {
        return interruption.exit_code;
    }
    let has_failed = !run.failures.is_empty()
        || run
            .scenarios
            .iter()
            .any(|scenario| scenario.problem.is_some());
    if has_failed {
        return 5;
    }
    let verdicts = || run.scenarios.iter().flat_map(|scenario| &scenario.verdicts);
    let words = words(run);
    let has = |gravity: Gravity| words.iter().any(|word| word.gravity() == gravity);
    if verdicts().any(|v| v.outcome == Outcome::Fail && v.is_survival)
        || words.contains(&Word::Crashed)
    {
        return 4;
    }
    if verdicts().any(|v| v.outcome == Outcome::Fail) || has(Gravity::Worse) {
        return 1;
    }
    let is_open = verdicts().any(|v| v.outcome == Outcome::Inconclusive) || has(Gravity::Open);
    if is_open && !run.header.lenient { 3 } else { 0 }
}
