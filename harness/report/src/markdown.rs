//! A summary for a CI job: one screen of Markdown.

use crate::compare::Gravity;
use crate::run::{RunFile, ScenarioRun};
use crate::text::tournament::beside;
use crate::text::{account, columns, compare, curves, datagrams, faults, number, shards, suite};
use crate::tournament::{Cell, Table};
use crate::verdict::Outcome;

/// The summary.
#[must_use]
pub fn render(run: &RunFile) -> String {
    let mut out = format!("## {}\n\n", crate::text::outcome(run));
    out.push_str(&whole_suite(run));
    let run = &*suite::in_full(run);
    out.extend(Table::of(run).as_ref().map(tournament));
    for scenario in run
        .scenarios
        .iter()
        .filter(|s| !s.figures.is_empty() && !s.has_garbage())
    {
        out.push_str(&format!("### {}\n\n", cell(&scenario.header.name)));
        if !columns::are_messages(scenario) {
            out.push_str(&not_messages(scenario));
            continue;
        }
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
        out.push_str(&passages(scenario));
        out.push_str(&happened(scenario));
        out.push_str(&shards::markdown(scenario, cell));
    }
    for scenario in run.scenarios.iter().filter(|s| s.has_garbage()) {
        out.push_str(&accounts(scenario));
    }
    for scenario in &run.scenarios {
        out.push_str(&crate::text::capacity::markdown(scenario));
    }
    for (name, rows) in curves::tables(run) {
        let head = curves::HEAD.join(" | ");
        out.push_str(&format!(
            "### {}\n\n|{head} |\n|{}\n",
            cell(&name),
            " ---: |".repeat(5)
        ));
        for row in rows {
            out.push_str(&format!("| {} |\n", row.join(" | ")));
        }
        out.push('\n');
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

/// Bulk transfers and lines of statsd have no times.
fn not_messages(scenario: &ScenarioRun) -> String {
    let mut out = String::new();
    for columns in columns::of(scenario) {
        out.push_str(&format!("| proxy | {} |\n", columns.head.join(" | ")));
        out.push_str(&format!(
            "| --- |{}\n",
            " ---: |".repeat(columns.head.len())
        ));
        for row in &columns.rows {
            let subject = cell(&row.figures.subject);
            out.push_str(&format!("| {subject} | {} |\n", row.cells.join(" | ")));
        }
        out.push('\n');
    }
    out + &happened(scenario) + &accounts(scenario) + &shards::markdown(scenario, cell)
}

/// A suite in one table.
fn whole_suite(run: &RunFile) -> String {
    let Some(title) = suite::title(run) else {
        return String::new();
    };
    let mut out = format!(
        "### {}\n\n| {} |\n|{}{}\n",
        cell(&title),
        suite::HEAD.join(" | "),
        " --- |".repeat(3),
        " ---: |".repeat(5) + " --- |"
    );
    for row in suite::rows(run) {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out + &format!("\n{}\n\n", suite::NOTE)
}

/// What became of every datagram.
fn passages(scenario: &ScenarioRun) -> String {
    let rows = datagrams::rows(scenario);
    if rows.is_empty() {
        return String::new();
    }
    let head = datagrams::HEAD.join(" | ");
    let mut out = format!("| {head} |\n| --- |{}\n", " ---: |".repeat(6));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out + "\n"
}

/// What was done on purpose.
fn happened(scenario: &ScenarioRun) -> String {
    let mut faults = faults::lines(scenario);
    if !faults.is_empty() {
        faults.extend(faults::in_flight(scenario));
    }
    let mut out: String = faults
        .iter()
        .map(|line| format!("- {}\n", cell(line)))
        .collect();
    if !faults.is_empty() {
        out.push('\n');
    }
    out
}

/// What became of every line.
fn accounts(scenario: &ScenarioRun) -> String {
    let mut out = String::new();
    for (title, account) in account::accounts(scenario) {
        let head = account::HEAD.join(" | ");
        out.push_str(&format!(
            "{}\n\n|{head} |\n| --- | ---: | ---: | ---: |\n",
            cell(&title)
        ));
        for row in account::rows(account) {
            let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        out.push('\n');
        let notes = account::notes(account);
        out.extend(notes.iter().map(|line| format!("- {}\n", cell(line))));
        out.push('\n');
    }
    out
}

/// All proxies over all suites.
fn tournament(table: &Table) -> String {
    let row = |first: &str, second: &str, others: &mut dyn Iterator<Item = String>| {
        let others: Vec<String> = others.collect();
        format!("| {first} | {second} | {} |\n", others.join(" | "))
    };
    let figure = |found: &Cell| {
        let text = cell(&found.text);
        let shown = if found.is_best {
            format!("**{text}**")
        } else {
            text
        };
        shown + &beside(found)
    };
    let proxies = &table.proxies;
    let mut out = format!(
        "### Tournament\n\nThe others beside {}; bold: no other proxy is better.\n\n",
        cell(&proxies[0])
    );
    out.push_str(&row(
        "suite",
        "figure",
        &mut proxies.iter().map(|proxy| cell(proxy)),
    ));
    out.push_str(&row(
        "---",
        "---",
        &mut proxies.iter().map(|_| "---".to_owned()),
    ));
    for found in &table.rows {
        let cells = &mut found.cells.iter().map(figure);
        out.push_str(&row(&cell(&found.suite), &cell(&found.figure), cells));
    }
    out + "\n"
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Word;
    use crate::tournament::Row;

    #[test]
    fn a_tournament_is_a_table_with_its_best_and_its_words() {
        let plain = |text: &str| Cell {
            text: text.to_owned(),
            ..Cell::default()
        };
        let table = Table {
            proxies: ["builtin", "cmd:a|b", "direct"].map(str::to_owned).to_vec(),
            rows: vec![Row {
                suite: "latency".to_owned(),
                figure: "p50".to_owned(),
                is_fate: false,
                cells: vec![
                    Cell {
                        is_best: true,
                        ..plain("70 µs")
                    },
                    Cell {
                        ratio: Some(1.5),
                        word: Some(Word::Slower),
                        ..plain("105 µs")
                    },
                    plain("50 µs"),
                ],
            }],
        };
        assert_eq!(
            tournament(&table),
            "### Tournament\n\nThe others beside builtin; bold: no other proxy is better.\n\n\
             | suite | figure | builtin | cmd:a\\|b | direct |\n\
             | --- | --- | --- | --- | --- |\n\
             | latency | p50 | **70 µs** | 105 µs 1.50× slower | 50 µs |\n\n"
        );
    }
}
