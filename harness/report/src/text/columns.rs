//! What is shown of a row of figures: messages have a rate and times, a bulk transfer has
//! bits per second and per second of CPU time.

use super::number;
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

/// The tables of a scenario that have rows: messages first.
pub(crate) fn of(scenario: &ScenarioRun) -> Vec<Columns<'_>> {
    [false, true]
        .into_iter()
        .filter_map(|is_bulk| {
            let figures = scenario.figures.iter();
            let of_kind = figures.filter(|figures| figures.gbit_per_s.is_some() == is_bulk);
            let rows: Vec<Row<'_>> = of_kind.map(|figures| row(figures, is_bulk)).collect();
            let (head, beside) = if is_bulk {
                (&BULK_HEAD[..], &BULK_BESIDE[..])
            } else {
                (&HEAD[..], &BESIDE[..])
            };
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

fn row(figures: &Figures, is_bulk: bool) -> Row<'_> {
    let ratios = figures.beside_peer.as_ref().map(|ratios| {
        let ratios = if is_bulk {
            bulk_ratios(ratios).to_vec()
        } else {
            ratios_of(ratios).to_vec()
        };
        ratios.into_iter().map(number::ratio).collect()
    });
    let cells = if is_bulk {
        bulk_cells(figures).to_vec()
    } else {
        cells(figures).to_vec()
    };
    Row {
        figures,
        cells,
        ratios,
    }
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
