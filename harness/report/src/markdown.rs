//! A summary for a CI job: one screen of Markdown.

use crate::compare::Gravity;
use crate::run::RunFile;
use crate::text::{compare, number};
use crate::verdict::Outcome;

/// The summary.
#[must_use]
pub fn render(run: &RunFile) -> String {
    let mut out = format!("## {}\n\n", crate::text::outcome(run));
    for scenario in run
        .scenarios
        .iter()
        .filter(|s| !s.figures.is_empty() && !s.has_garbage())
    {
        out.push_str(&format!("### {}\n\n", cell(&scenario.header.name)));
        out.push_str("| proxy | rate | p50 | p99 | p99.9 | added p50 | CPU/msg | memory |\n");
        out.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
        for figures in &scenario.figures {
            let response = &figures.response_us;
            let cells = [
                cell(&figures.subject),
                number::rate(figures.rate),
                number::micros_or_dash(response.p50),
                number::micros_or_dash(response.p99),
                number::micros_or_dash(response.p99_9),
                number::signed_micros(figures.added_p50_us),
                number::micros_or_dash(figures.cpu_us_per_msg),
                figures
                    .peak_memory_bytes
                    .map_or_else(|| "-".to_owned(), number::bytes),
            ];
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        out.push('\n');
    }
    for scenario in &run.scenarios {
        out.push_str(&crate::text::capacity::markdown(scenario));
    }
    out.push_str(&comparisons(run));
    out.push_str("| | scenario | expectation | evidence |\n| --- | --- | --- | --- |\n");
    for scenario in &run.scenarios {
        for verdict in &scenario.verdicts {
            let mark = match verdict.outcome {
                Outcome::Pass => "✅",
                Outcome::Fail => "❌",
                Outcome::Inconclusive => "❔",
            };
            let (expectation, evidence) = (cell(&verdict.expectation), cell(&verdict.evidence));
            out.push_str(&format!(
                "| {mark} | {} | {expectation} | {evidence} |\n",
                cell(&scenario.header.name)
            ));
        }
    }
    out.push_str(&format!(
        "\nseed {} · run {}\n",
        run.header.seed,
        cell(&run.header.id)
    ));
    out
}

/// What was set beside each other, all scenarios in one table for each candidate.
fn comparisons(run: &RunFile) -> String {
    let mut out = String::new();
    for comparison in compare::judged(run) {
        let headline = cell(&compare::headline(comparison));
        out.push_str(&format!("### {headline}\n\n{}\n\n", cell(&comparison.why)));
        out.push_str(&format!("| | scenario |{} |\n", compare::HEAD.join(" | ")));
        out.push_str(
            "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
        );
        let mut lines = Vec::new();
        for scenario in &comparison.scenarios {
            let name = cell(&scenario.scenario);
            for metric in &scenario.metrics {
                let mark = if metric.is_judged {
                    mark(metric.word.gravity())
                } else {
                    ""
                };
                let cells = compare::row(metric).join(" | ");
                out.push_str(&format!("| {mark} | {name} | {cells} |\n"));
            }
            if scenario.metrics.is_empty() {
                let mark = mark(scenario.word.gravity());
                let word = scenario.word.text();
                out.push_str(&format!("| {mark} | {name} | {}{word} |\n", "| ".repeat(8)));
            }
            let all = compare::conduct(scenario);
            lines.extend(all.iter().map(|line| format!("- {name}: {}\n", cell(line))));
        }
        lines.extend(
            comparison
                .notes
                .iter()
                .map(|note| format!("- {}\n", cell(note))),
        );
        out.push_str(&format!("\n{}\n", lines.concat()));
    }
    out
}

fn mark(gravity: Gravity) -> &'static str {
    match gravity {
        Gravity::Worse => "❌",
        Gravity::Open => "❔",
        Gravity::Fine => "✅",
    }
}

/// Text that cannot end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
