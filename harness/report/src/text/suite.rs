//! A whole suite in one table; what did not pass is told in full besides.

use std::borrow::Cow;

use super::latency::subject_name;
use super::{heading, number, table};
use crate::datagrams::Passage;
use crate::evidence::Block;
use crate::expect::Part;
use crate::figures::Figures;
use crate::health::{self, Status};
use crate::run::{RunFile, ScenarioRun};
use crate::verdict::Outcome;
use crate::verdict::phases;
use crate::verdict::recovery::{self, Recovery};

/// What the columns of [`rows`] hold.
pub(crate) const HEAD: [&str; 9] = [
    "scenario",
    "proxy",
    "verdict",
    "p99 before",
    "during",
    "after",
    "lost",
    "recovery",
    "who died",
];

/// What to know when reading it.
pub(crate) const NOTE: &str = "lost: requests that got no right answer; recovery: the longest \
     from the end of a fault until the load was served as before";

/// The table; empty if the run is no suite.
#[must_use]
pub fn section(run: &RunFile) -> String {
    let Some(title) = title(run) else {
        return String::new();
    };
    let mut rows = rows(run);
    rows.insert(0, HEAD.map(str::to_owned).to_vec());
    let aligns = [&[table::LEFT; 3][..], &[table::RIGHT; 5], &[table::LEFT]].concat();
    heading("SUITE", &title) + &table::render(&rows, &aligns) + &format!("  {NOTE}\n")
}

/// Its name and how many of its scenarios passed; none if the run is no suite.
pub(crate) fn title(run: &RunFile) -> Option<String> {
    let suite = run.header.suite.as_ref()?;
    let passed = run.scenarios.iter().filter(|s| has_passed(s)).count();
    Some(format!(
        "{suite}: {passed} of {} scenarios passed",
        run.scenarios.len()
    ))
}

/// The run as it is told in full: of a suite what did not pass.
#[must_use]
pub fn in_full(run: &RunFile) -> Cow<'_, RunFile> {
    if run.header.suite.is_none() {
        return Cow::Borrowed(run);
    }
    let scenarios = run.scenarios.iter().filter(|s| !has_passed(s)).cloned();
    Cow::Owned(RunFile {
        schema_version: run.schema_version,
        header: run.header.clone(),
        started_mono_ns: run.started_mono_ns,
        elapsed_s: run.elapsed_s,
        exit_code: run.exit_code,
        interrupted: run.interrupted.clone(),
        failures: run.failures.clone(),
        scenarios: scenarios.collect(),
        comparisons: run.comparisons.clone(),
        events: Vec::new(),
    })
}

fn has_passed(scenario: &ScenarioRun) -> bool {
    let mut verdicts = scenario.verdicts.iter();
    scenario.problem.is_none() && verdicts.all(|verdict| verdict.outcome == Outcome::Pass)
}

/// A row for each scenario and subject.
pub(crate) fn rows(run: &RunFile) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for scenario in &run.scenarios {
        let mut subjects: Vec<&str> = Vec::new();
        for block in &scenario.blocks {
            if !subjects.contains(&block.subject.as_str()) {
                subjects.push(&block.subject);
            }
        }
        if subjects.is_empty() {
            subjects.push(scenario.subject());
        }
        rows.extend(subjects.iter().map(|subject| row(scenario, subject)));
    }
    rows
}

fn row(scenario: &ScenarioRun, subject: &str) -> Vec<String> {
    let blocks = || {
        scenario
            .blocks
            .iter()
            .filter(|block| block.subject == subject)
    };
    let figures: Vec<&Figures> = scenario
        .figures
        .iter()
        .filter(|figures| figures.subject == subject)
        .collect();
    let [before, during, after] = p99(scenario, &figures);
    let lost: u64 = blocks().map(lost).sum();
    vec![
        scenario.header.name.clone(),
        match subject_name(subject) {
            "through the proxy" => "builtin".to_owned(),
            _ => subject.to_owned(),
        },
        verdict(scenario, subject).to_owned(),
        number::micros_or_dash(before),
        number::micros_or_dash(during),
        number::micros_or_dash(after),
        number::count(lost),
        blocks()
            .filter_map(slowest)
            .reduce(Recovery::worse)
            .map_or_else(|| "-".to_owned(), in_short),
        died(blocks()),
    ]
}

/// What is demanded is demanded of the first subject.
fn verdict(scenario: &ScenarioRun, subject: &str) -> &'static str {
    let has = |outcome| scenario.verdicts.iter().any(|v| v.outcome == outcome);
    if scenario.problem.is_some() {
        "BROKEN"
    } else if subject != scenario.subject() {
        "-"
    } else if has(Outcome::Fail) {
        "FAIL"
    } else if has(Outcome::Inconclusive) {
        "????"
    } else {
        "pass"
    }
}

/// Of several loads the slowest. Without faults whatever is wrong is so all the time.
fn p99(scenario: &ScenarioRun, figures: &[&Figures]) -> [Option<f64>; 3] {
    let slowest = |values: &mut dyn Iterator<Item = Option<f64>>| values.flatten().reduce(f64::max);
    if !scenario.blocks.iter().any(|block| !block.faults.is_empty()) {
        let all = slowest(&mut figures.iter().map(|figures| figures.response_us.p99));
        return [None, all, None];
    }
    Part::ALL.map(|part| {
        slowest(&mut figures.iter().map(|figures| {
            let sums = phases::sums(scenario, figures, part)?;
            sums.quantile_us(0.99)
        }))
    })
}

/// Requests, lines or datagrams of a block that got no right answer, or did not come.
fn lost(block: &Block) -> u64 {
    if let Some(account) = &block.account {
        return account.missing;
    }
    let of_load = |load| {
        Passage::of(block, load).map_or_else(
            || {
                load.record.as_ref().map_or(0, |record| {
                    record.counts.failed_total() + record.counts.unanswered
                })
            },
            |passage| passage.lost,
        )
    };
    block.loads.iter().map(of_load).sum()
}

fn slowest(block: &Block) -> Option<Recovery> {
    let records = block.loads.iter().filter_map(|load| load.record.as_ref());
    let all = records.filter_map(|record| recovery::of_load(block, record));
    let told = all.flatten().filter_map(|(_, recovery)| recovery);
    told.reduce(Recovery::worse)
}

fn in_short(recovery: Recovery) -> String {
    match recovery {
        Recovery::After(0.0) => "at once".to_owned(),
        Recovery::After(us) => number::micros(us),
        Recovery::NotBeforeTheNext(us) => format!("> {}", number::micros(us)),
        Recovery::NotByTheEnd(us) => format!("not in {}", number::micros(us)),
    }
}

/// Who did not come out of it well, and how; what was done on purpose is not told.
fn died<'a>(blocks: impl Iterator<Item = &'a Block>) -> String {
    let mut found: Vec<String> = Vec::new();
    for block in blocks {
        for (_, name, _) in block.watched() {
            let status = health::status_of(block, &name);
            let is_calm = matches!(
                status,
                Status::Survived | Status::Unwatched | Status::Slow { .. } | Status::Froze { .. }
            );
            let said = format!("{name} {status}");
            if !is_calm && !found.contains(&said) {
                found.push(said);
            }
        }
    }
    if found.is_empty() {
        "nobody".to_owned()
    } else {
        number::first_few(&found, 2).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use crate::event::{Event, Role};
    use crate::fixtures::{Story, load, load_record};
    use crate::run::RunFile;
    use crate::{junit, markdown};

    /// A suite of two scenarios: in the first a fault does no harm that was not meant, in
    /// the second the proxy dies.
    fn run() -> RunFile {
        let mut record = load_record(100, 90);
        record.intervals[3].failed = 3;
        record.counts.failed.insert("reset".to_owned(), 3);
        let mut story = Story::new(vec![load("failed <= 3")])
            .block("builtin")
            .toxic("client-proxy", "reset_peer", 310, 480)
            .touched("reset_peer 310", 3)
            .load(record)
            .at(2_100, Event::BlockEnded { problem: None })
            .at(2_101, Event::ScenarioEnded { problem: None })
            .scenario(vec![load("failed = 0")])
            .block("builtin")
            .load(load_record(100, 70))
            .exit(Role::Proxy, "SIGSEGV", false)
            .end();
        let mut number = 0;
        for stamped in &mut story.0 {
            match &mut stamped.event {
                Event::RunStarted(header) => header.suite = Some("chaos".to_owned()),
                Event::ScenarioStarted(header) => {
                    number += 1;
                    header.name = format!("scenario-{number}");
                }
                _ => {}
            }
        }
        RunFile::from_events(&story.0)
    }

    #[test]
    fn a_suite_is_one_table_and_only_what_failed_is_told_in_full() {
        let report = crate::text::render(&run(), None);
        let table: Vec<&str> = report
            .lines()
            .skip_while(|line| !line.starts_with("SUITE"))
            .take(4)
            .collect();
        assert_eq!(table[0], "SUITE  chaos: 1 of 2 scenarios passed");
        let cells = |line: &str| -> Vec<String> {
            let cells = line.split("  ").map(str::trim);
            let cells = cells.filter(|cell| !cell.is_empty());
            cells.map(str::to_owned).collect()
        };
        assert_eq!(
            cells(table[2]),
            [
                "scenario-1",
                "builtin",
                "pass",
                "90.0 µs",
                "90.0 µs",
                "90.0 µs",
                "3",
                "20.0 ms",
                "nobody"
            ],
            "{report}"
        );
        let second = cells(table[3]);
        assert_eq!(second[2], "FAIL", "{report}");
        assert_eq!(second[8], "proxy died (SIGSEGV)", "{report}");
        // The first is in no other section.
        assert_eq!(report.matches("scenario-1").count(), 1, "{report}");
        assert!(report.contains("LATENCY  scenario-2"), "{report}");
        assert!(
            report.contains("FAIL  scenario-2  proxy survives"),
            "{report}"
        );
        // What is counted is everything.
        assert!(report.contains("passed, 1 failed"), "{report}");
        let markdown = markdown::render(&run());
        assert!(markdown.contains("### chaos: 1 of 2 scenarios passed"));
        assert!(
            markdown.contains("| scenario-1 | builtin | pass |"),
            "{markdown}"
        );
        assert_eq!(markdown.matches("scenario-1").count(), 1, "{markdown}");
        assert!(junit::render(&run()).contains("scenario-1"));
    }

    #[test]
    fn no_suite_no_table() {
        let mut run = run();
        run.header.suite = None;
        let report = crate::text::render(&run, None);
        assert!(!report.contains("SUITE"));
        assert!(report.contains("LATENCY  scenario-1"));
    }
}
