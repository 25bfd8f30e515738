//! What was done on purpose, when, and what it did to those who were served meanwhile.

use super::{heading, number, table};
use crate::evidence::{Block, FaultEvidence};
use crate::expect::{Change, Part};
use crate::run::ScenarioRun;
use crate::verdict::phases;

/// Faults of a scenario that are told one by one; of more the first few are.
const MOST: usize = 6;

/// What the columns of [`parts`] hold.
pub(crate) const HEAD: [&str; 8] = [
    "",
    "",
    "sent",
    "failed",
    "connections failed",
    "p50",
    "p99",
    "rate",
];

/// The section of a scenario; empty if nothing was done.
#[must_use]
pub fn section(scenario: &ScenarioRun) -> String {
    let lines = lines(scenario);
    if lines.is_empty() {
        return String::new();
    }
    let mut out = heading("FAULTS", &scenario.header.name);
    for line in lines {
        out.push_str(&format!("  {line}\n"));
    }
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(parts(scenario));
    let aligns = [&[table::LEFT; 2][..], &[table::RIGHT; 6]].concat();
    out.push_str(&table::render(&rows, &aligns));
    out
}

/// A line for each fault of the judged blocks.
pub(crate) fn lines(scenario: &ScenarioRun) -> Vec<String> {
    let all: Vec<String> = scenario
        .judged()
        .flat_map(|block| block.faults.iter().map(move |fault| line(block, fault)))
        .collect();
    let more = all.len().saturating_sub(MOST);
    let mut shown: Vec<String> = all.into_iter().take(MOST).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown
}

/// `1.5 s: kill upstream.1 for 1.0 s; ejected after 5 ms, readmitted after 429 ms`.
fn line(block: &Block, fault: &FaultEvidence) -> String {
    let begun = phases::first_load(block).unwrap_or(block.started_mono_ns);
    let at_s = fault.began_mono_ns.saturating_sub(begun) as f64 / 1e9;
    let mut said = format!("{at_s:.1} s: {}", fault.words());
    match fault.ended_mono_ns {
        Some(ended) => {
            let lasted = ended.saturating_sub(fault.began_mono_ns) as f64 / 1e3;
            said.push_str(&format!(", {}", number::micros(lasted)));
        }
        None => said.push_str(", to the end"),
    }
    if let Some(problem) = &fault.problem {
        return format!("{said}: NOT DONE: {problem}");
    }
    let whom = fault.fault.backend.as_ref().unwrap_or(&fault.fault.target);
    let noticed: Vec<String> = [
        (Change::Ejected, Some(fault.began_mono_ns)),
        (Change::Readmitted, fault.ended_mono_ns),
    ]
    .into_iter()
    .filter_map(|(change, since)| {
        let found = phases::transition(block, whom, change, since?)?;
        let after_us = found.mono_ns.saturating_sub(since?) as f64 / 1e3;
        Some(format!(
            "{} after {}",
            change.word(),
            number::micros(after_us)
        ))
    })
    .collect();
    if !noticed.is_empty() {
        said.push_str(&format!("; {}", noticed.join(", ")));
    }
    said
}

/// A row for each load and part of the run.
pub(crate) fn parts(scenario: &ScenarioRun) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let judged = scenario.figures.iter();
    for figures in judged.filter(|figures| figures.subject == scenario.subject()) {
        for part in Part::ALL {
            let Some(sums) = phases::sums(scenario, figures, part) else {
                continue;
            };
            rows.push(vec![
                figures.load.clone(),
                part.word().to_owned(),
                number::count(sums.sent),
                number::count(sums.failed),
                number::count(sums.connections_failed),
                number::micros_or_dash(sums.quantile_us(0.5)),
                number::micros_or_dash(sums.quantile_us(0.99)),
                // Nobody answers lines of statsd.
                number::rate(match figures.lines {
                    Some(_) => sums.sent_rate(),
                    None => sums.rate(),
                }),
            ]);
        }
    }
    rows
}
