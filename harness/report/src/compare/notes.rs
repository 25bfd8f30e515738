//! What to know when reading a comparison.

use super::design::{Design, Kind};
use super::metrics;
use super::sample::Sample;
use crate::bound::Metric;
use crate::event::Host;
use crate::run::{RunFile, ScenarioRun};
use crate::text::number;

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
            .map(|then| different(then, &run.header.host))
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

/// How much the memory of a machine may differ from itself: what the kernel reserves at
/// its start is not always the same.
const MEMORY_SHARE: f64 = 0.05;

/// What differs between two machines, or between a machine of then and of now.
fn different(then: &Host, now: &Host) -> Vec<String> {
    let mut differing = Vec::new();
    let mut compare = |what: &str, then: String, now: String| {
        if then != now {
            differing.push(format!("{what} {then} then, {now} now"));
        }
    };
    compare("processor", then.cpu.clone(), now.cpu.clone());
    compare("cores", then.cores.to_string(), now.cores.to_string());
    compare("kernel", then.kernel.clone(), now.kernel.clone());
    let machine = |host: &Host| host.machine.clone().unwrap_or_else(|| "unknown".to_owned());
    compare("machine", machine(then), machine(now));
    let [was, is] = [then, now].map(|host| host.memory_bytes);
    if was.abs_diff(is) as f64 > MEMORY_SHARE * is as f64 {
        compare("memory", number::bytes(was), number::bytes(is));
    }
    differing
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
    let is_there = |metric| samples.iter().any(|sample| sample.metric == metric);
    let missing = metrics::COMPARED.into_iter();
    let missing = missing.filter(|metric| metrics::is_judged(*metric, true) && !is_there(*metric));
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
