//! What was measured: the table, the drawing, the counts.

use super::columns::{self, Columns};
use super::{heading, histogram, number, shortened, table};
use crate::figures::{BUILTIN, DIRECT, Figures, decode};
use crate::run::ScenarioRun;

/// The latency section of one scenario.
#[must_use]
pub fn section(scenario: &ScenarioRun) -> String {
    let header = &scenario.header;
    let rounds = scenario
        .blocks
        .iter()
        .map(|block| block.round)
        .max()
        .unwrap_or(0);
    let plural = if rounds == 1 { "" } else { "s" };
    let about = format!(
        "{}: {} ({rounds} round{plural})",
        header.name, header.description
    );
    let title = if scenario
        .figures
        .iter()
        .all(|figures| figures.lines.is_some())
    {
        "LINES"
    } else {
        "LATENCY"
    };
    let mut out = heading(title, &about);
    for columns in columns::of(scenario) {
        out.push_str(&table::render(
            &rows(scenario, &columns),
            &[&[table::LEFT][..], &[table::RIGHT; 16]].concat(),
        ));
    }
    out.push_str(&indent(&notes(scenario)));
    let named: Vec<_> = scenario
        .figures
        .iter()
        .filter(|figures| figures.response_us.count > 0)
        .filter_map(|figures| {
            Some((
                label(scenario, figures),
                decode(&figures.response_histogram)?,
            ))
        })
        .collect();
    // Where somebody died or hung, the shape of what was measured around it says little.
    if !named.is_empty() && !scenario.blocks.iter().any(super::survival::is_telling) {
        // More than three do not fit beside each other; the first are those asked for
        // first.
        let drawn = histogram::draw(&named[..named.len().min(3)]);
        out.push_str(&format!("\n{drawn}\n"));
    }
    out.push_str(&indent(&counts(scenario)));
    out
}

fn indent(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

/// Characters of a subject that the table has room for: a command line may be longer.
const LABEL_CHARS: usize = 32;

/// Characters of the peer's name in the head of its columns.
const PEER_CHARS: usize = 16;

/// What a row is called: the subject, and the load's name if there are several.
fn label(scenario: &ScenarioRun, figures: &Figures) -> String {
    let subject = shortened(subject_name(&figures.subject), LABEL_CHARS);
    with_load(scenario, figures, subject)
}

/// The name of a row of figures: the load's name belongs to it if there are several.
pub(crate) fn with_load(scenario: &ScenarioRun, figures: &Figures, subject: String) -> String {
    let several = scenario
        .figures
        .iter()
        .any(|other| other.load != figures.load);
    if several {
        format!("{subject}: {}", figures.load)
    } else {
        subject
    }
}

/// A subject as readers know it.
pub(crate) fn subject_name(subject: &str) -> &str {
    match subject {
        DIRECT => "direct to the upstream",
        BUILTIN => "through the proxy",
        other => other,
    }
}

/// The lines of a table, its head first.
fn rows(scenario: &ScenarioRun, columns: &Columns<'_>) -> Vec<Vec<String>> {
    let peers = columns.rows.iter();
    let mut peers = peers.filter_map(|row| row.figures.beside_peer.as_ref());
    let peer = peers.next();
    let mut head = vec![String::new()];
    head.extend(columns.head.iter().map(|head| (*head).to_owned()));
    if let Some(peer) = peer {
        let name = shortened(&peer.peer, PEER_CHARS);
        head.push(format!("beside {name}: {}", columns.beside[0]));
        head.extend(columns.beside[1..].iter().map(|head| (*head).to_owned()));
    }
    let mut rows = vec![head];
    for row in &columns.rows {
        let mut line = vec![label(scenario, row.figures)];
        line.extend(row.cells.iter().cloned());
        if peer.is_some() {
            let none = || vec!["-".to_owned(); columns.beside.len()];
            line.extend(row.ratios.clone().unwrap_or_else(none));
        }
        rows.push(line);
    }
    rows
}

/// What to know when reading the table, one sentence each.
pub(crate) fn notes(scenario: &ScenarioRun) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    for figures in &scenario.figures {
        let (valid, blocks) = (figures.valid_blocks, figures.blocks);
        let label = label(scenario, figures);
        let reasons = figures.why_invalid();
        if !figures.is_valid() {
            say(format!(
                "INVALID {label}: {valid} of {blocks} blocks are valid: {reasons}"
            ));
        } else if valid < blocks {
            say(format!(
                "{label}: {} of {blocks} blocks are invalid and left out: {reasons}",
                blocks - valid
            ));
        }
        for note in &figures.notes {
            say(note.clone());
        }
    }
    let lag = scenario
        .figures
        .iter()
        .filter_map(|figures| figures.send_lag_us.p99)
        .fold(None, |most: Option<f64>, lag| {
            Some(most.map_or(lag, |most| most.max(lag)))
        });
    if let Some(lag) = lag.filter(|_| scenario.figures.iter().any(|f| f.response_us.count > 0)) {
        say(format!(
            "response times count from the moment a request was due; the client itself was late by {} (p99)",
            number::micros(lag)
        ));
    }
    let floors = scenario
        .blocks
        .iter()
        .flat_map(|block| &block.loads)
        .filter_map(|load| load.record.as_ref()?.client.floor_us.as_ref()?.p50);
    if let Some(floor) = crate::figures::median(floors) {
        say(format!(
            "the tool's own floor, against a built-in echo: p50 {}",
            number::micros(floor)
        ));
    }
    lines
}

/// What became of the requests, and whether everybody's counts agree.
pub(crate) fn counts(scenario: &ScenarioRun) -> Vec<String> {
    let mut sums = [0; 7];
    for record in scenario
        .blocks
        .iter()
        .flat_map(|block| &block.loads)
        .filter_map(|load| load.record.as_ref())
    {
        let counts = &record.counts;
        let one = [
            counts.sent,
            counts.acked,
            counts.naked,
            counts.failed_total(),
            counts.unanswered,
            counts.never_written,
            counts.connect_failed.values().sum(),
        ];
        for (sum, count) in sums.iter_mut().zip(one) {
            *sum += count;
        }
    }
    if !scenario.figures.is_empty()
        && scenario
            .figures
            .iter()
            .all(|figures| figures.lines.is_some())
    {
        return Vec::new();
    }
    let [.., never_written, not_opened] = sums;
    let [sent, acked, naked, failed, unanswered, ..] = sums.map(number::count);
    let mut out = vec![format!(
        "requests: {sent} sent = {acked} acked + {naked} naked + {failed} failed + {unanswered} unanswered"
    )];
    if never_written > 0 {
        out.push(format!(
            "{} due requests were never written: no place became free for them",
            number::count(never_written)
        ));
    }
    if not_opened > 0 {
        out.push(format!(
            "{} connections could not be opened",
            number::count(not_opened)
        ));
    }
    let rows = &scenario.reconciliation;
    if let Some(row) = rows.iter().find(|row| !row.agrees()) {
        out.push(format!(
            "MISMATCH {}, {} in round {}: {} counted, {} expected",
            row.what,
            row.subject,
            row.round,
            number::count(row.counted),
            number::count(row.expected)
        ));
    } else if !rows.is_empty() {
        out.push(format!(
            "the counts of client, proxy and upstream agree ({} comparisons)",
            rows.len()
        ));
    }
    out
}
