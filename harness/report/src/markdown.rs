//! A summary for a CI job: one screen of Markdown.

use crate::run::RunFile;
use crate::text::number;
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

/// Text that cannot end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
