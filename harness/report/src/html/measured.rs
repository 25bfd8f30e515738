//! One scenario: what the load clients measured, as tables, bars and plots.

use super::markup::{Align, escape, notes, table};
use super::palette::{Palette, name};
use super::plot::COLOURS;
use super::{capacity, percentiles, shards, timeline};
use crate::figures::Figures;
use crate::run::{RunFile, ScenarioRun};
use crate::text::{account, columns, datagrams, faults, latency, number};

/// Whether there is anything to show of a scenario.
pub(super) fn is_shown(scenario: &ScenarioRun) -> bool {
    !scenario.figures.is_empty() || !scenario.capacity.is_empty()
}

/// The anchor of a scenario's section.
pub(super) fn id(number: usize) -> String {
    format!("scenario-{}", number + 1)
}

/// All that was measured in the scenario of that number.
pub(super) fn section(
    run: &RunFile,
    scenario: &ScenarioRun,
    number: usize,
    palette: &Palette,
) -> String {
    if !is_shown(scenario) {
        return String::new();
    }
    let id = id(number);
    let mut out = format!(
        "<section>\n<h2 id=\"{id}\">{}</h2>\n<p>{}</p>\n",
        escape(&scenario.header.name),
        escape(&sentence(&scenario.header.description))
    );
    out.push_str(&capacity::figure(scenario, &id, palette));
    // What was measured at many rates in turn is not to be put into one figure.
    if scenario.capacity.is_empty() {
        out.push_str(&figures(scenario, palette));
        out.push_str(&beside_peer(scenario, palette));
        out.push_str(&faults(scenario));
        out.push_str(&accounts(scenario));
        out.push_str(&passages(scenario));
        out.push_str(&notes(&latency::notes(scenario)));
        out.push_str(&percentiles::figure(scenario, &id, palette));
        out.push_str(&bars(scenario, palette));
        out.push_str(&timeline::figure(run, scenario, &id, palette));
    } else {
        out.push_str(&timeline::blocks(run, scenario));
    }
    out.push_str(&notes(&latency::counts(scenario)));
    out.push_str(&shards::section(scenario));
    out.push_str("</section>\n");
    out
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    let end = if text.is_empty() || text.ends_with('.') {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", chars.as_str())
}

/// What was measured of each subject.
fn figures(scenario: &ScenarioRun, palette: &Palette) -> String {
    let tables = columns::of(scenario).into_iter().map(|columns| {
        let mut heads = vec![("", Align::Text)];
        heads.extend(columns.head.iter().map(|head| (*head, Align::Number)));
        let rows: Vec<_> = columns
            .rows
            .iter()
            .map(|row| {
                let mut line = vec![subject(scenario, row.figures, palette)];
                line.extend(row.cells.iter().map(|cell| escape(cell)));
                line
            })
            .collect();
        table("", &heads, &rows)
    });
    tables.collect()
}

/// Figures over those of the peer in the same round.
fn beside_peer(scenario: &ScenarioRun, palette: &Palette) -> String {
    let tables = columns::of(scenario).into_iter().filter_map(|columns| {
        let mut peer = "";
        let mut rows = Vec::new();
        for row in &columns.rows {
            let Some((ratios, beside)) = row.ratios.as_ref().zip(row.figures.beside_peer.as_ref())
            else {
                continue;
            };
            peer = &beside.peer;
            let mut line = vec![subject(scenario, row.figures, palette)];
            line.extend(ratios.iter().cloned());
            rows.push(line);
        }
        let first = format!("beside {peer}, in the same round");
        let mut heads = vec![(first.as_str(), Align::Text)];
        heads.extend(columns.beside.iter().map(|head| (*head, Align::Number)));
        (!rows.is_empty()).then(|| table("", &heads, &rows))
    });
    tables.collect()
}

/// What became of every line, block by block.
fn accounts(scenario: &ScenarioRun) -> String {
    let accounts = account::accounts(scenario).into_iter();
    accounts
        .map(|(title, account)| {
            let heads = [
                (title.as_str(), Align::Text),
                (account::HEAD[1], Align::Number),
                (account::HEAD[2], Align::Number),
                (account::HEAD[3], Align::Number),
            ];
            let rows = account::rows(account);
            let cells = |row: &Vec<String>| row.iter().map(|cell| escape(cell)).collect();
            let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
            table("", &heads, &rows) + &notes(&account::notes(account))
        })
        .collect()
}

/// What became of every datagram.
fn passages(scenario: &ScenarioRun) -> String {
    let rows = datagrams::rows(scenario);
    if rows.is_empty() {
        return String::new();
    }
    let heads = datagrams::HEAD.iter().enumerate();
    let heads: Vec<_> = heads
        .map(|(at, head)| match at {
            0 => ("datagrams", Align::Text),
            _ => (*head, Align::Number),
        })
        .collect();
    let cells = |row: &Vec<String>| row.iter().map(|cell| escape(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    table("", &heads, &rows)
}

/// What was done on purpose meanwhile, and what came of it.
fn faults(scenario: &ScenarioRun) -> String {
    let mut lines = faults::lines(scenario);
    if lines.is_empty() {
        return String::new();
    }
    lines.extend(faults::in_flight(scenario));
    let heads: Vec<_> = faults::HEAD
        .iter()
        .enumerate()
        .map(|(at, head)| match at {
            0 => ("load", Align::Text),
            1 => ("faults", Align::Text),
            _ => (*head, Align::Number),
        })
        .collect();
    let rows: Vec<Vec<String>> = faults::parts(scenario)
        .iter()
        .map(|row| row.iter().map(|cell| escape(cell)).collect())
        .collect();
    format!(
        "<h3>Faults</h3>\n{}{}",
        notes(&lines),
        table("", &heads, &rows)
    )
}

/// A subject with its colour, and whether its figures may be judged.
fn subject(scenario: &ScenarioRun, figures: &Figures, palette: &Palette) -> String {
    let colour = palette.index(scenario, figures) % COLOURS;
    let invalid = if figures.is_valid() {
        ""
    } else {
        " <span class=\"chip open\">invalid</span>"
    };
    format!(
        "<span class=\"who\"><span class=\"dot s{colour}\"></span><span>{}{invalid}</span></span>",
        escape(&name(scenario, figures))
    )
}

/// What it cost: CPU time and memory, side by side.
fn bars(scenario: &ScenarioRun, palette: &Palette) -> String {
    let cpu: Vec<_> = scenario
        .figures
        .iter()
        .filter_map(|f| Some((f, f.cpu_us_per_msg?, number::micros(f.cpu_us_per_msg?))))
        .collect();
    let memory: Vec<_> = scenario
        .figures
        .iter()
        .filter_map(|f| {
            Some((
                f,
                f.peak_memory_bytes? as f64,
                number::bytes(f.peak_memory_bytes?),
            ))
        })
        .collect();
    let mut out = String::new();
    for (title, about, values) in [
        (
            "CPU time per message",
            "of the proxy’s process tree, median over the blocks",
            cpu,
        ),
        (
            "Peak memory",
            "resident, of the proxy’s process tree",
            memory,
        ),
    ] {
        let most = values
            .iter()
            .map(|(_, value, _)| *value)
            .fold(0.0, f64::max);
        // One bar alone says no more than the table.
        if most <= 0.0 || values.len() < 2 {
            continue;
        }
        let lines: String = values
            .iter()
            .map(|(figures, value, text)| {
                let colour = palette.index(scenario, figures) % COLOURS;
                format!(
                    "<li><span class=\"of\">{}</span><span class=\"bar s{colour}\" style=\"width:{:.1}%\"></span><span class=\"n\">{}</span></li>",
                    escape(&name(scenario, figures)),
                    value / most * 100.0,
                    escape(text)
                )
            })
            .collect();
        out.push_str(&format!(
            "<figure><figcaption><b>{title}</b> {about}</figcaption><ul class=\"bars\">{lines}</ul></figure>\n"
        ));
    }
    if out.is_empty() {
        out
    } else {
        format!("<div class=\"pair\">{out}</div>\n")
    }
}
