//! The terminal report, and `report.txt`.
//!
//! In reading order: [`number`] writes figures, `name` fits names into their room, [`table`]
//! lines up columns, [`latency`] shows what was measured (`columns` says which figures),
//! [`histogram`] draws it, [`faults`] tells what was done on purpose meanwhile,
//! (`toxic` how links were spoilt), [`account`] what became of every line and [`datagrams`]
//! of every datagram, [`shards`] who sent which part, [`suite`] is a whole suite in one table,
//! [`curves`] what a line costs as something grows, [`capacity`] shows the highest rates, [`survival`] says who died.

pub mod account;
pub mod capacity;
pub(crate) mod columns;
pub mod compare;
pub mod curves;
pub mod datagrams;
pub mod faults;
pub mod histogram;
pub mod latency;
mod name;
pub mod number;
pub mod shards;
pub mod suite;
pub mod survival;
pub mod table;
pub mod tournament;
pub mod toxic;

use crate::event::Host;
use crate::run::{RunFile, ScenarioRun};
use crate::verdict::{Outcome, Verdict};
use crate::words;
pub(crate) use name::shortened;

/// The whole report. `directory` is where the run's files lie, if that is known.
#[must_use]
pub fn render(run: &RunFile, directory: Option<&str>) -> String {
    let mut out = head(run);
    out.push_str(&suite::section(run));
    let all = run;
    let run = &*suite::in_full(run);
    out.push_str(&tournament::section(run));
    for scenario in &run.scenarios {
        if !scenario.figures.is_empty() && !scenario.has_garbage() {
            out.push_str(&latency::section(scenario));
        }
        out.push_str(&faults::section(scenario));
        out.push_str(&account::section(scenario));
        out.push_str(&datagrams::section(scenario));
        out.push_str(&shards::section(scenario));
        out.push_str(&capacity::section(scenario));
    }
    out.push_str(&curves::section(run));
    out.push_str(&compare::section(run));
    out.push_str(&survival::section(run));
    out.push_str(&verdicts(run));
    out.push_str(&problems(all));
    out.push_str(&tail(all, directory));
    out
}

fn head(run: &RunFile) -> String {
    let header = &run.header;
    let Host {
        cpu,
        cores,
        kernel,
        memory_bytes,
        machine: _,
    } = &header.host;
    let memory = number::bytes(*memory_bytes);
    format!(
        "\nrun {} · seed {} · {:.1} s · harness {}\n{cores} × {cpu} · {memory} · {kernel}\n",
        header.id, header.seed, run.elapsed_s, header.version
    )
}

pub(crate) fn heading(title: &str, about: &str) -> String {
    let about = if about.is_empty() {
        String::new()
    } else {
        format!("  {about}")
    };
    format!("\n{title}{about}\n")
}

fn verdicts(run: &RunFile) -> String {
    let mut rows = Vec::new();
    for scenario in &run.scenarios {
        for verdict in &scenario.verdicts {
            rows.push(vec![
                mark(verdict).to_owned(),
                scenario.header.name.clone(),
                verdict.expectation.clone(),
                verdict.evidence.clone(),
            ]);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    heading("VERDICTS", "") + &table::render(&rows, &[table::LEFT; 4])
}

fn mark(verdict: &Verdict) -> &'static str {
    match verdict.outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Inconclusive => "????",
    }
}

/// What went wrong with the run itself: the harness, a scenario, an interruption. What
/// processes wrote may be part of it.
pub(crate) fn problem_lines(run: &RunFile) -> Vec<String> {
    let of_scenario = |scenario: &ScenarioRun| {
        scenario
            .problem
            .as_ref()
            .map(|problem| format!("{}: {problem}", scenario.header.name))
    };
    let mut lines: Vec<String> = run.failures.clone();
    lines.extend(run.scenarios.iter().filter_map(of_scenario));
    if let Some(interruption) = &run.interrupted {
        lines.push(format!(
            "interrupted by {}: the report is partial, nothing is judged by it",
            interruption.signal
        ));
    }
    lines.iter().map(|line| words::printable(line)).collect()
}

fn problems(run: &RunFile) -> String {
    let lines = problem_lines(run);
    if lines.is_empty() {
        return String::new();
    }
    let indented: String = lines
        .iter()
        .map(|line| format!("  {}\n", line.replace('\n', "\n    ")))
        .collect();
    heading("PROBLEMS", "") + &indented
}

fn tail(run: &RunFile, directory: Option<&str>) -> String {
    let files = directory.map_or(String::new(), |directory| {
        format!("\nrun file {directory}/run.json · report {directory}/report.txt · events {directory}/events.jsonl\n")
    });
    format!("{files}\n{}\n", outcome(run))
}

/// The last line: the exit code in words.
#[must_use]
pub fn outcome(run: &RunFile) -> String {
    let all = || run.scenarios.iter().flat_map(|scenario| &scenario.verdicts);
    let count = |outcome| all().filter(|verdict| verdict.outcome == outcome).count();
    let mut sums: Vec<String> = compare::judged(run).map(compare::headline).collect();
    if sums.is_empty() || all().next().is_some() {
        sums.push(format!(
            "{} passed, {} failed, {} could not be judged",
            count(Outcome::Pass),
            count(Outcome::Fail),
            count(Outcome::Inconclusive)
        ));
    }
    let sums = sums.join("; ");
    let meaning = match run.exit_code {
        0 => "ok",
        1 if count(Outcome::Fail) == 0 => "a regression",
        1 => "an expectation failed",
        3 if count(Outcome::Inconclusive) == 0 => "it cannot be told",
        3 => "an expectation could not be judged",
        4 => "proxy or upstream did not survive where it should have",
        5 => "the harness itself failed",
        _ => "interrupted",
    };
    format!("{sums}: {meaning} (exit {})", run.exit_code)
}

#[cfg(test)]
mod tests {
    use crate::event::{Event, Exit, Role};
    use crate::expect::Fate;
    use crate::fixtures::{Story, fate, load, load_record};
    use crate::run::RunFile;
    use crate::{junit, markdown};

    fn run() -> RunFile {
        let story = Story::new(vec![load("p99 < 2ms"), load("p99 < 10us")])
            .block("builtin")
            .load(load_record(100, 90))
            .at(2_100, Event::BlockEnded { problem: None })
            .block("direct")
            .load(load_record(100, 70))
            .at(2_100, Event::BlockEnded { problem: None })
            .at(2_101, Event::ScenarioEnded { problem: None })
            .scenario(vec![fate(Role::Upstream, Fate::Dies)])
            .block("builtin")
            .garbage(3 << 20)
            .exit(Role::Upstream, "SIGSEGV", false);
        RunFile::from_events(&story.end().0)
    }

    #[test]
    fn the_report_says_what_was_measured_who_died_and_what_it_means() {
        let report = super::render(&run(), Some("runs/x"));
        for part in [
            "direct to the upstream  20,000/s  70",
            "through the proxy       20,000/s  90",
            "+20.0 µs",
            "5.0 µs  10.0 MiB",
            "builtin --on-malformed forward       3.0 MiB          2,000  died (SIGSEGV)  survived",
            "its last words: x: Decode error: bad type",
            "  FAIL  made-up  p99 < 10us",
            "runs/x/run.json",
            "an expectation failed (exit 1)",
        ] {
            assert!(report.contains(part), "{part:?} is not in\n{report}");
        }
        assert!(!report.lines().any(|line| line.ends_with(' ')), "{report}");
    }

    #[test]
    fn the_counts_tell_of_what_was_never_sent() {
        let mut record = load_record(100, 90);
        record.counts.never_written = 1_600;
        record.counts.connect_failed.insert("refused".to_owned(), 7);
        let story = Story::new(Vec::new()).block("builtin").load(record);
        let report = super::render(&RunFile::from_events(&story.end().0), None);
        for part in [
            "1,600 due requests were never written",
            "7 connections could not be opened",
        ] {
            assert!(report.contains(part), "{part:?} is not in\n{report}");
        }
    }

    #[test]
    fn what_processes_wrote_does_nothing_to_a_terminal() {
        let evil = "panicked\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m \u{8}at a.rs";
        let exit = Exit {
            signal: Some("SIGABRT".to_owned()),
            stderr_tail: vec![evil.to_owned()],
            ..Exit::default()
        };
        let story = Story::new(Vec::new())
            .block("builtin")
            .load(load_record(100, 90))
            .at(
                900,
                Event::Exited {
                    role: Role::Proxy,
                    name: "proxy".to_owned(),
                    exit,
                },
            )
            .at(
                2_101,
                Event::ScenarioEnded {
                    problem: Some(format!("it said:\n{evil}")),
                },
            )
            .at(
                2_102,
                Event::HarnessFailed {
                    message: evil.to_owned(),
                },
            );
        let report = super::render(&RunFile::from_events(&story.0), None);
        let harmful = |c: char| c.is_control() && c != '\n';
        assert!(!report.contains(harmful), "{report:?}");
        assert_eq!(
            report.matches("panicked \u{fffd}at a.rs").count(),
            4,
            "{report}"
        );
    }

    #[test]
    fn other_forms_hold_every_expectation() {
        let run = run();
        let verdicts = run
            .scenarios
            .iter()
            .map(|scenario| scenario.verdicts.len())
            .sum::<usize>();
        let junit = junit::render(&run);
        assert_eq!(junit.matches("<testcase ").count(), verdicts);
        assert_eq!(junit.matches("<failure ").count(), 1);
        assert_eq!(
            junit.matches("<testsuite ").count(),
            junit.matches("</testsuite>").count()
        );
        let markdown = markdown::render(&run);
        assert_eq!(markdown.matches(['✅', '❌', '❔']).count(), verdicts);
    }
}
