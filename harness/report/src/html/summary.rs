//! The top of the page: what came of the run, and the verdicts one by one.

use super::markup::{Align, Tone, chip, escape, notes, table};
use crate::run::RunFile;
use crate::text::{self, number};
use crate::tournament::Table;
use crate::verdict::Outcome;

/// What came of it, in one look.
pub(super) fn head(run: &RunFile) -> String {
    let header = &run.header;
    let (tone, word) = match run.exit_code {
        0 => (Tone::Good, "passed"),
        1 => (Tone::Bad, "failed"),
        3 => (Tone::Open, "could not be judged"),
        4 => (Tone::Bad, "did not survive"),
        5 => (Tone::Bad, "harness failed"),
        _ => (Tone::Open, "interrupted"),
    };
    let host = &header.host;
    let facts = [
        format!("{:.1} s", run.elapsed_s),
        format!("{} × {}", host.cores, host.cpu),
        number::bytes(host.memory_bytes),
        host.kernel.clone(),
        format!("seed {}", header.seed),
    ]
    .map(|fact| format!("<li>{}</li>", escape(&fact)))
    .concat();
    let links: String = links(run)
        .iter()
        .map(|(id, name)| format!("<a href=\"#{id}\">{}</a>", escape(name)))
        .collect();
    format!(
        "<header>\n<p class=\"kicker\">harness {}</p>\n<h1>{}</h1>\n<p class=\"outcome\">{} {}</p>\n\
         <ul class=\"facts\">{facts}</ul>\n<nav aria-label=\"Sections\">{links}</nav>\n</header>\n{}",
        escape(&header.version),
        escape(&header.id),
        chip(tone, word),
        escape(&text::outcome(run)),
        problems(run),
    )
}

/// Where the page's sections are, in their order.
fn links(run: &RunFile) -> Vec<(String, &str)> {
    let mut links = Vec::new();
    if run.header.suite.is_some() {
        links.push(("suite".to_owned(), "Suite"));
    }
    if Table::of(run).is_some() {
        links.push(("tournament".to_owned(), "Tournament"));
    }
    if !run.comparisons.is_empty() {
        links.push(("comparison".to_owned(), "Comparison"));
    }
    if run
        .scenarios
        .iter()
        .any(|scenario| !scenario.verdicts.is_empty())
    {
        links.push(("verdicts".to_owned(), "Verdicts"));
    }
    if !text::survival::survival(run).rows.is_empty() {
        links.push(("survival".to_owned(), "Survival"));
    }
    for (number, scenario) in run.scenarios.iter().enumerate() {
        if super::measured::is_shown(scenario) {
            links.push((super::measured::id(number), &scenario.header.name));
        }
    }
    links.push(("repeat".to_owned(), "Run it again"));
    links
}

fn problems(run: &RunFile) -> String {
    let lines = text::problem_lines(run);
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "<section class=\"problems\"><h2>Problems</h2>\n{}</section>\n",
        notes(&lines)
    )
}

/// Every expectation, and what came of it. What failed stands first.
pub(super) fn verdicts(run: &RunFile) -> String {
    let mut all: Vec<_> = run
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.verdicts.iter().map(move |v| (scenario, v)))
        .collect();
    if all.is_empty() {
        return String::new();
    }
    all.sort_by_key(|(_, verdict)| match verdict.outcome {
        Outcome::Fail => 0,
        Outcome::Inconclusive => 1,
        Outcome::Pass => 2,
    });
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|(scenario, verdict)| {
            let tone = match verdict.outcome {
                Outcome::Pass => Tone::Good,
                Outcome::Fail => Tone::Bad,
                Outcome::Inconclusive => Tone::Open,
            };
            vec![
                chip(tone, verdict.outcome.word()),
                escape(&scenario.header.name),
                escape(&verdict.expectation),
                escape(&verdict.evidence),
            ]
        })
        .collect();
    let heads = [
        ("outcome", Align::Text),
        ("scenario", Align::Text),
        ("expectation", Align::Text),
        ("evidence", Align::Text),
    ];
    format!(
        "<section><h2 id=\"verdicts\">Verdicts</h2>\n{}</section>\n",
        table("verdicts stack", &heads, &rows)
    )
}
