//! The terminal report, and `report.txt`.
//!
//! In reading order: [`number`] writes figures, [`table`] lines up columns, [`latency`]
//! shows what was measured, [`histogram`] draws it, [`survival`] says who died.

pub mod histogram;
pub mod latency;
pub mod number;
pub mod survival;
pub mod table;

use crate::event::Host;
use crate::run::{RunFile, ScenarioRun};
use crate::verdict::{Outcome, Verdict};

/// The whole report. `directory` is where the run's files lie, if that is known.
#[must_use]
pub fn render(run: &RunFile, directory: Option<&str>) -> String {
    let mut out = head(run);
    for scenario in &run.scenarios {
        if !scenario.figures.is_empty() && !scenario.has_garbage() {
            out.push_str(&latency::section(scenario));
        }
    }
    out.push_str(&survival::section(run));
    out.push_str(&verdicts(run));
    out.push_str(&problems(run));
    out.push_str(&tail(run, directory));
    out
}

fn head(run: &RunFile) -> String {
    let header = &run.header;
    let Host {
        cpu,
        cores,
        kernel,
        memory_bytes,
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

fn problems(run: &RunFile) -> String {
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
    let sums = format!(
        "{} passed, {} failed, {} could not be judged",
        count(Outcome::Pass),
        count(Outcome::Fail),
        count(Outcome::Inconclusive)
    );
    let meaning = match run.exit_code {
        0 => "ok",
        1 => "an expectation failed",
        3 => "an expectation could not be judged",
        4 => "proxy or upstream did not survive where it should have",
        5 => "the harness itself failed",
        _ => "interrupted",
    };
    format!("{sums}: {meaning} (exit {})", run.exit_code)
}
