//! What was done on purpose, when, and what it did to those who were served meanwhile.

use super::{heading, number, table};
use crate::delivery::Delivery;
use crate::evidence::{Block, FaultEvidence};
use crate::expect::{Change, Part};
use crate::figures::Figures;
use crate::run::ScenarioRun;
use crate::verdict::delivered::sentence;
use crate::verdict::phases::Sums;
use crate::verdict::recovery::{self, Recovery};
use crate::verdict::{notice, phases};

/// Faults of a scenario that are told one by one; of more the first few are.
const MOST: usize = 8;

/// Kinds of faults that have a row of their own below the parts.
const MOST_WINDOWS: usize = 8;

/// Blocks whose requests in flight are told one by one.
const MOST_BLOCKS: usize = 3;

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
    for line in lines.iter().chain(&in_flight(scenario)) {
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
    let all = || {
        let judged = scenario.judged();
        judged.flat_map(|block| block.faults.iter().map(move |fault| (block, fault)))
    };
    let more = all().count().saturating_sub(MOST);
    let first = all().take(MOST);
    let mut shown: Vec<String> = first.map(|(block, fault)| line(block, fault)).collect();
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
    if let Some(touched) = fault.touched_words() {
        said.push_str(&format!("; {touched}"));
    }
    if let Some(recovery) = recovery(block, fault) {
        said.push_str(&format!("; {recovery}"));
    }
    let whom = fault.fault.backend.as_ref().unwrap_or(&fault.fault.target);
    let noticed: Vec<String> = [
        (Change::Ejected, Some(fault.began_mono_ns)),
        (Change::Readmitted, fault.ended_mono_ns),
    ]
    .into_iter()
    .filter_map(|(change, since)| {
        let found = notice::transition(block, whom, change, since?)?;
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

/// When the slowest of the loads was served as before; none if that cannot be told.
fn recovery(block: &Block, fault: &FaultEvidence) -> Option<String> {
    let records = block.loads.iter().filter_map(|load| load.record.as_ref());
    let all = records.filter_map(|record| {
        let recoveries = recovery::of_load(block, record)?;
        let mut own = recoveries.into_iter();
        own.find(|(of, _)| of.fault.id == fault.fault.id)?.1
    });
    let worst = all.reduce(Recovery::worse)?;
    Some(match worst {
        Recovery::After(us) => format!("served as before {}", recovery::after(us)),
        Recovery::NotBeforeTheNext(_) => "not served as before the next fault".to_owned(),
        Recovery::NotByTheEnd(_) => "not served as before by the end".to_owned(),
    })
}

/// A line for each judged block: what became of its requests, and what the upstreams say.
pub(crate) fn in_flight(scenario: &ScenarioRun) -> Vec<String> {
    let judged: Vec<&Block> = scenario.judged().collect();
    let all = judged.iter().filter_map(|block| {
        let delivery = Delivery::of(block, scenario.mode())?;
        let round = match judged.len() {
            1 => String::new(),
            _ => format!(" (round {})", block.round),
        };
        let [sent, answered, failed, unknown] = [
            delivery.sent,
            delivery.answered,
            delivery.failed,
            delivery.unknown,
        ]
        .map(number::count);
        let mut said = format!(
            "in flight{round}: {sent} sent = {answered} acked or naked + {failed} failed + \
             {unknown} unknown; {}",
            sentence(&delivery)
        );
        if !delivery.silent.is_empty() {
            let silent = delivery.silent.join(", ");
            said.push_str(&format!("; {silent} ended without telling"));
        }
        Some(said)
    });
    all.take(MOST_BLOCKS).collect()
}

/// A row for each load and part of the run, and for each of several faults.
pub(crate) fn parts(scenario: &ScenarioRun) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let windows = windows(scenario);
    let judged = scenario.figures.iter();
    for figures in judged.filter(|figures| figures.subject == scenario.subject()) {
        for part in Part::ALL {
            let sums = phases::sums(scenario, figures, part);
            rows.extend(sums.map(|sums| row(figures, part.word(), &sums)));
        }
        for words in &windows {
            let sums = phases::sums_of(scenario, figures, words);
            rows.extend(sums.map(|sums| row(figures, words, &sums)));
        }
    }
    rows
}

/// The faults that differ, if there are several.
fn windows(scenario: &ScenarioRun) -> Vec<String> {
    let mut windows: Vec<String> = Vec::new();
    for fault in scenario.judged().flat_map(|block| &block.faults) {
        let words = fault.words();
        if !windows.contains(&words) {
            windows.push(words);
        }
    }
    windows.truncate(if windows.len() > 1 { MOST_WINDOWS } else { 0 });
    windows
}

fn row(figures: &Figures, what: &str, sums: &Sums) -> Vec<String> {
    vec![
        figures.load.clone(),
        what.to_owned(),
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
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::event::Role;
    use crate::fixtures::{SENT, Story, load_record};
    use crate::run::RunFile;

    #[test]
    fn each_fault_is_told_with_what_it_touched_and_how_soon_it_was_over() {
        let mut record = load_record(100, 90);
        let slice = &mut record.intervals[4];
        slice.failed = 30;
        slice.answered -= 30;
        slice.failed_kinds = [("reset".to_owned(), 30)].into();
        let story = Story::new(Vec::new())
            .block("builtin")
            .toxic("client-proxy", "reset_peer", 310, 480)
            .touched("reset_peer 310", 812)
            .fault("upstream.1", "freeze", 600, 690)
            .toxic("proxy-upstream", "noop", 800, 890)
            .load(record)
            .counted(Role::Upstream, json!({ "requests": SENT + 5 }));
        let run = RunFile::from_events(&story.end().0);
        let section = super::section(&run.scenarios[0]);
        for part in [
            "  0.2 s: reset_peer client-proxy downstream, 170.0 ms; 812 hits on 8 connections, \
             20.0 KiB; not served as before the next fault\n",
            "0.5 s: freeze upstream.1, 90.0 ms; ",
            "noop proxy-upstream downstream, 90.0 ms; TOUCHED NOTHING; served as before at once\n",
            "in flight: 20,000 sent = 19,970 acked or naked + 0 failed + 30 unknown; the \
             upstreams got 20,005: at least 19,970 and at most 20,020 (20 probes included) are \
             right",
        ] {
            assert!(section.contains(part), "{part:?} is not in\n{section}");
        }
        let rows: Vec<&str> = section.lines().filter(|line| line.contains("/s")).collect();
        let what = ["before", "during", "after", "reset_peer", "freeze", "noop"];
        assert_eq!(rows.len(), what.len(), "{section}");
        for (row, what) in rows.iter().zip(what) {
            assert!(row.contains(what), "{row}");
        }
    }
}
