//! What is shown of a row of figures: messages have a rate and times, a bulk transfer has
//! bits per second and per second of CPU time, lines of statsd have a share that came.

use super::{account, number};
use crate::figures::{Figures, Ratios};
use crate::run::ScenarioRun;

/// A table of figures: those of messages, or those of bulk transfers.
pub(crate) struct Columns<'a> {
    /// What the cells hold.
    pub(crate) head: &'static [&'static str],
    /// What the cells beside the peer hold.
    pub(crate) beside: &'static [&'static str],
    /// A row for each subject and load.
    pub(crate) rows: Vec<Row<'a>>,
}

/// One subject and load.
pub(crate) struct Row<'a> {
    pub(crate) figures: &'a Figures,
    /// As [`Columns::head`] says.
    pub(crate) cells: Vec<String>,
    /// As [`Columns::beside`] says; none if it is set beside nobody.
    pub(crate) ratios: Option<Vec<String>>,
}

/// What is measured of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Messages,
    Bulk,
    Lines,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Messages, Self::Bulk, Self::Lines];

    fn of(figures: &Figures) -> Self {
        if figures.lines.is_some() {
            Self::Lines
        } else if figures.gbit_per_s.is_some() {
            Self::Bulk
        } else {
            Self::Messages
        }
    }

    fn heads(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Messages => (&HEAD, &BESIDE),
            Self::Bulk => (&BULK_HEAD, &BULK_BESIDE),
            Self::Lines => (&LINES_HEAD, &LINES_BESIDE),
        }
    }
}

/// Whether all that was measured are messages.
pub(crate) fn are_messages(scenario: &ScenarioRun) -> bool {
    let mut figures = scenario.figures.iter();
    figures.all(|figures| Kind::of(figures) == Kind::Messages)
}

/// The tables of a scenario that have rows: messages first.
pub(crate) fn of(scenario: &ScenarioRun) -> Vec<Columns<'_>> {
    Kind::ALL
        .into_iter()
        .filter_map(|kind| {
            let figures = scenario.figures.iter();
            let of_kind = figures.filter(|figures| Kind::of(figures) == kind);
            let rows: Vec<Row<'_>> = of_kind.map(|figures| row(figures, kind)).collect();
            let (head, beside) = kind.heads();
            (!rows.is_empty()).then_some(Columns { head, beside, rows })
        })
        .collect()
}

const HEAD: [&str; 10] = [
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

const BESIDE: [&str; 5] = ["p50", "p99", "rate", "CPU", "memory"];

const BULK_HEAD: [&str; 3] = ["throughput", "per CPU second", "memory"];

const BULK_BESIDE: [&str; 3] = BULK_HEAD;

const LINES_HEAD: [&str; 5] = ["sent", "received", "share", "lines/CPU s", "memory"];

const LINES_BESIDE: [&str; 3] = ["received", "lines/CPU s", "memory"];

fn row(figures: &Figures, kind: Kind) -> Row<'_> {
    let ratios = figures.beside_peer.as_ref().map(|ratios| {
        let ratios = match kind {
            Kind::Messages => ratios_of(ratios).to_vec(),
            Kind::Bulk => bulk_ratios(ratios).to_vec(),
            Kind::Lines => vec![ratios.lines, ratios.lines_per_cpu_s, ratios.peak_memory],
        };
        ratios.into_iter().map(number::ratio).collect()
    });
    let cells = match kind {
        Kind::Messages => cells(figures).to_vec(),
        Kind::Bulk => bulk_cells(figures).to_vec(),
        Kind::Lines => line_cells(figures).to_vec(),
    };
    Row {
        figures,
        cells,
        ratios,
    }
}

fn line_cells(figures: &Figures) -> [String; 5] {
    let lines = figures.lines.clone().unwrap_or_default();
    let per_cpu_s = lines.per_cpu_s.map(|lines| number::count(lines as u64));
    [
        number::rate(figures.rate),
        number::rate(lines.received_per_s),
        account::percent(lines.received_share),
        per_cpu_s.unwrap_or_else(|| "-".to_owned()),
        memory(figures),
    ]
}

fn cells(figures: &Figures) -> [String; 10] {
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
        memory(figures),
    ]
}

fn ratios_of(ratios: &Ratios) -> [Option<f64>; 5] {
    [
        ratios.p50,
        ratios.p99,
        ratios.rate,
        ratios.cpu,
        ratios.peak_memory,
    ]
}

fn bulk_cells(figures: &Figures) -> [String; 3] {
    let gigabits = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number::gigabits);
    let per_second = figures
        .gbit_per_s
        .map(|value| number::gigabits(value) + "/s");
    [
        per_second.unwrap_or_else(|| "-".to_owned()),
        gigabits(figures.gbit_per_cpu_s),
        memory(figures),
    ]
}

fn bulk_ratios(ratios: &Ratios) -> [Option<f64>; 3] {
    [ratios.throughput, ratios.per_cpu_s, ratios.peak_memory]
}

fn memory(figures: &Figures) -> String {
    let peak = figures.peak_memory_bytes;
    peak.map_or_else(|| "-".to_owned(), number::bytes)
}
