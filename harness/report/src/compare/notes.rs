//! What to know when reading a comparison.

use super::design::{Arm, Design, Kind};
use super::metrics;
use super::sample::Sample;
use crate::bound::Metric;
use crate::run::{RunFile, ScenarioRun};

/// What is true of the whole run.
pub(super) fn of_run(run: &RunFile, design: &Design) -> Vec<String> {
    let mut notes = Vec::new();
    if design.kind == Kind::History {
        notes.push(
            "the baseline's figures are those of an earlier run: nothing was interleaved, so \
             that whatever else has changed since then looks like a difference"
                .to_owned(),
        );
        let then = design.history.as_ref().map(|history| &history.host);
        let differing = then
            .map(|then| then.differences(&run.header.host))
            .unwrap_or_default();
        if !differing.is_empty() {
            let differing = differing.join("; ");
            notes.push(format!(
                "the machine is another one, or has changed: {differing}"
            ));
        }
    }
    if let Some(interruption) = &run.interrupted {
        notes.push(format!(
            "interrupted by {}: this is what was known until then",
            interruption.signal
        ));
    }
    notes
}

/// What is true of one scenario, of which so many pairs are valid.
pub(super) fn of_scenario(
    scenario: &ScenarioRun,
    design: &Design,
    pairs: usize,
    samples: &[Sample],
) -> Vec<String> {
    let mut notes = Vec::new();
    if !scenario.complete && pairs < design.pairs as usize {
        notes.push(format!("cut short after {pairs} of {} pairs", design.pairs));
    }
    if pairs == 0 {
        return notes;
    }
    let mut arms = scenario.blocks.iter().map(|block| block.arm);
    let was_tried = arms.any(|arm| arm == Some(Arm::NoiseFirst));
    if was_tried && samples.iter().all(Sample::has_no_noise) {
        notes.push(
            "how much the baseline differs from itself is not known: none of those pairs was \
             valid, and nothing can be called unstable"
                .to_owned(),
        );
    }
    let is_there = |metric| samples.iter().any(|sample| sample.metric == metric);
    let missing = metrics::COMPARED.into_iter();
    let kind = if is_there(Metric::Throughput) || is_there(Metric::BitsPerCpuSecond) {
        metrics::LoadKind::Bulk
    } else if is_there(Metric::LinesPerCpuSecond) {
        metrics::LoadKind::Lines
    } else {
        metrics::LoadKind::Messages
    };
    let missing = missing.filter(|metric| {
        metrics::is_judged(*metric, true)
            && metrics::is_known_of(*metric, kind)
            && !is_there(*metric)
    });
    let missing: Vec<&str> = missing.map(Metric::word).collect();
    if !missing.is_empty() {
        notes.push(format!(
            "not compared, because one side has no figures of it: {}",
            missing.join(", ")
        ));
    }
    if samples
        .iter()
        .any(|sample| metrics::is_judged(sample.metric, true) && !sample.is_judged)
    {
        notes.push(
            "the loop is closed, where every slow answer delays the next request: its latency is \
             for information"
                .to_owned(),
        );
    }
    let anchored = samples.iter().filter(|sample| sample.has_anchors());
    if design.kind == Kind::History && anchored.count() == 0 {
        notes.push(
            "going direct was not measured both then and now: whether the machine itself has \
             changed is not known"
                .to_owned(),
        );
    }
    notes
}
