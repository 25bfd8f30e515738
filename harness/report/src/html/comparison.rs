//! What a run compared: the verdicts in one table, then scenario by scenario.

use super::forest;
use super::markup::{Align, escape, notes, table};
use crate::bound::Metric;
use crate::compare::design::Conduct;
use crate::compare::{Comparison, ScenarioComparison};
use crate::run::RunFile;
use crate::text::compare::LEFT_OUT_SHOWN;
use crate::text::latency::subject_name;
use crate::text::number;
use crate::tournament::Table;

/// All comparisons of the run.
pub(super) fn section(run: &RunFile) -> String {
    let [first, ..] = run.comparisons.as_slice() else {
        return String::new();
    };
    let mut out = format!(
        "<section>\n<h2 id=\"comparison\">Comparison with <code>{}</code></h2>\n",
        escape(&first.baseline)
    );
    // A tournament has its own table above, which says more.
    if run.comparisons.len() > 1 && Table::of(run).is_none() {
        out.push_str(&overview(&run.comparisons));
    }
    for comparison in &run.comparisons {
        out.push_str(&one(comparison));
    }
    out.push_str("</section>\n");
    out
}

/// One row for each candidate, one column for each scenario.
fn overview(comparisons: &[Comparison]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for scenario in comparisons
        .iter()
        .flat_map(|comparison| &comparison.scenarios)
    {
        if !names.contains(&scenario.scenario.as_str()) {
            names.push(&scenario.scenario);
        }
    }
    let mut heads = vec![("candidate", Align::Text), ("all together", Align::Text)];
    heads.extend(names.iter().map(|name| (*name, Align::Text)));
    let rows: Vec<Vec<String>> = comparisons
        .iter()
        .map(|comparison| {
            let mut row = vec![
                escape(subject_name(&comparison.candidate)),
                forest::word(comparison.word),
            ];
            row.extend(names.iter().map(|name| {
                let mut scenarios = comparison.scenarios.iter();
                scenarios
                    .find(|scenario| scenario.scenario == *name)
                    .map_or_else(|| "–".to_owned(), cell)
            }));
            row
        })
        .collect();
    table("overview", &heads, &rows)
}

/// Metrics that an overview has room for.
const SHORT: [(Metric, &str); 4] = [
    (Metric::P50, "p50"),
    (Metric::P99, "p99"),
    (Metric::Rate, "rate"),
    (Metric::CpuPerMsg, "CPU"),
];

fn cell(scenario: &ScenarioComparison) -> String {
    let changes: Vec<String> = SHORT
        .iter()
        .filter_map(|(metric, name)| {
            let known = scenario.metrics.iter().find(|m| m.metric == *metric)?;
            Some(format!("{name} {}", forest::percent(known.ratio)))
        })
        .collect();
    format!(
        "{}<br><small>{}</small>",
        forest::word(scenario.word),
        escape(&changes.join(" · "))
    )
}

fn one(comparison: &Comparison) -> String {
    let mut out = format!(
        "<article class=\"comparison\">\n<h3><code>{}</code> <span class=\"against\">against</span> <code>{}</code> {}</h3>\n<p>{}</p>\n{}",
        escape(&comparison.candidate),
        escape(&comparison.baseline),
        forest::word(comparison.word),
        escape(&comparison.why),
        notes(&comparison.notes)
    );
    for scenario in &comparison.scenarios {
        out.push_str(&format!(
            "<h4>{} {}</h4>\n<p>{}</p>\n",
            escape(&scenario.scenario),
            forest::word(scenario.word),
            escape(&scenario.why)
        ));
        if !scenario.metrics.is_empty() {
            out.push_str(&forest::table(scenario));
            out.push_str(&key(scenario));
        }
        out.push_str(&conducts(scenario));
        out.push_str(&notes(&number::first_few(
            &scenario.left_out,
            LEFT_OUT_SHOWN,
        )));
    }
    out.push_str("</article>\n");
    out
}

/// What the signs of the plots mean.
fn key(scenario: &ScenarioComparison) -> String {
    let has_noise = scenario
        .metrics
        .iter()
        .any(|metric| !metric.noise.is_empty());
    let noise = if has_noise {
        "; ring: a pair of the baseline with itself, which is the noise of this machine"
    } else {
        ""
    };
    format!(
        "<p class=\"below\">{} pairs. Diamond and bar: estimate and its interval; dot: one pair{noise}; shaded: the margin that matters.</p>\n",
        scenario.pairs
    )
}

/// What became of requests and processes on both sides: who is faster and loses messages
/// is not better.
fn conducts(scenario: &ScenarioComparison) -> String {
    let heads = [
        ("", Align::Text),
        ("blocks", Align::Number),
        ("invalid", Align::Number),
        ("requests", Align::Number),
        ("wrong answers", Align::Text),
        ("failed otherwise", Align::Number),
        ("proxy", Align::Text),
        ("upstream", Align::Text),
    ];
    let row = |name: &str, conduct: &Conduct| {
        let wrong: Vec<String> = conduct
            .wrong
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(kind, count)| format!("{} {kind}", number::count(*count)))
            .collect();
        let or = |texts: &[String], none: &str| {
            if texts.is_empty() {
                none.to_owned()
            } else {
                escape(&texts.join("; "))
            }
        };
        vec![
            name.to_owned(),
            conduct.blocks.to_string(),
            conduct.invalid_blocks.to_string(),
            number::count(conduct.sent),
            or(&wrong, "none"),
            number::count(conduct.failed),
            or(&conduct.proxy_troubles, "survived"),
            or(&conduct.upstream_troubles, "survived"),
        ]
    };
    let rows = [
        row("baseline", &scenario.baseline),
        row("candidate", &scenario.candidate),
    ];
    table("conduct", &heads, &rows)
}
