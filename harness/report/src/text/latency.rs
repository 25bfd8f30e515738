//! What was measured: the table, the drawing, the counts.

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
    let mut out = heading("LATENCY", &about);
    out.push_str(&table::render(
        &rows(scenario),
        &[&[table::LEFT][..], &[table::RIGHT; 16]].concat(),
    ));
    out.push_str(&indent(&notes(scenario)));
    let named: Vec<_> = scenario
        .figures
        .iter()
        .filter_map(|figures| {
            Some((
                label(scenario, figures),
                decode(&figures.response_histogram)?,
            ))
        })
        .collect();
    // Where somebody died or hung, the shape of what was measured around it says little.
    if !scenario.blocks.iter().any(super::survival::is_telling) {
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

/// What the cells of [`cells`] hold.
pub(crate) const HEAD: [&str; 10] = [
    "rate",
    "p50",
    "p90",
    "p99",
    "p99.9",
    "max",
    "added p50",
    "added p99",
    "CPU/msg",
    "memory",
];

/// What was measured of one subject, as the columns of [`HEAD`] say.
pub(crate) fn cells(figures: &Figures) -> [String; 10] {
    let times = &figures.response_us;
    [
        number::rate(figures.rate),
        number::micros_or_dash(times.p50),
        number::micros_or_dash(times.p90),
        number::micros_or_dash(times.p99),
        number::micros_or_dash(times.p99_9),
        number::micros_or_dash(times.max),
        number::signed_micros(figures.added_p50_us),
        number::signed_micros(figures.added_p99_us),
        number::micros_or_dash(figures.cpu_us_per_msg),
        figures
            .peak_memory_bytes
            .map_or_else(|| "-".to_owned(), number::bytes),
    ]
}

fn rows(scenario: &ScenarioRun) -> Vec<Vec<String>> {
    let peer = scenario
        .figures
        .iter()
        .find_map(|figures| figures.beside_peer.as_ref());
    let mut head = vec![String::new()];
    head.extend(HEAD.map(str::to_owned));
    if let Some(peer) = peer {
        let name = shortened(&peer.peer, PEER_CHARS);
        head.push(format!("beside {name}: p50"));
        head.extend(["p99", "rate", "CPU", "memory"].map(str::to_owned));
    }
    let mut rows = vec![head];
    for figures in &scenario.figures {
        let mut row = vec![label(scenario, figures)];
        row.extend(cells(figures));
        if peer.is_some() {
            let ratios = figures.beside_peer.clone().unwrap_or_default();
            row.extend(
                [
                    ratios.p50,
                    ratios.p99,
                    ratios.rate,
                    ratios.cpu,
                    ratios.peak_memory,
                ]
                .map(number::ratio),
            );
        }
        rows.push(row);
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
    if let Some(lag) = lag {
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
