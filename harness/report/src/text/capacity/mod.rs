//! The highest rates that hold: a line each, latency against load, what was tried.

use super::{heading, number, shortened, table};
use crate::capacity::{Capacity, CapacityPlan, Point, rate};
use crate::run::ScenarioRun;

mod curve;

/// Rows of the table for one subject: the ones nearest to its capacity say most.
const MOST_ROWS: usize = 12;

/// The capacity section of one scenario; nothing if it is no search.
#[must_use]
pub fn section(scenario: &ScenarioRun) -> String {
    let Some(plan) = &scenario.header.capacity else {
        return String::new();
    };
    let header = &scenario.header;
    let about = format!("{}: {}", header.name, header.description);
    let mut out = heading("CAPACITY", &about);
    for capacity in &scenario.capacity {
        out.push_str(&format!(
            "  {}: {} while {}\n      {}\n",
            name(capacity),
            rate(capacity),
            plan.bound,
            capacity.why
        ));
    }
    out.push_str(
        "  median of the rounds of closing in, and the least and the most that a round found;\n  \
         load client, server and proxy share this machine's cores: apart, each could take more\n",
    );
    let drawn = curve::draw(plan, &scenario.capacity);
    if !drawn.is_empty() {
        out.push_str(&format!("\n{drawn}"));
    }
    for capacity in scenario
        .capacity
        .iter()
        .filter(|one| !one.points.is_empty())
    {
        out.push_str(&format!("\n  {}\n", name(capacity)));
        out.push_str(&points(plan, capacity));
    }
    out
}

/// The same as a table for a CI job's summary.
#[must_use]
pub fn markdown(scenario: &ScenarioRun) -> String {
    let Some(plan) = &scenario.header.capacity else {
        return String::new();
    };
    let escaped = |text: &str| text.replace('|', "\\|").replace(['\n', '\r'], " ");
    let mut out = format!(
        "### {}: highest rate with {}\n\n| proxy | rate | what ended the climb |\n| --- | ---: | --- |\n",
        escaped(&scenario.header.name),
        escaped(&plan.bound.to_string())
    );
    for capacity in &scenario.capacity {
        let cells = [&capacity.subject, &rate(capacity), &capacity.why].map(|text| escaped(text));
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out.push('\n');
    out
}

/// Requests per second in three digits: `41.2k/s`.
#[must_use]
pub fn short_rate(per_second: f64) -> String {
    let (scaled, unit) = match per_second {
        rate if rate >= 999_500.0 => (rate / 1e6, "M"),
        rate if rate >= 9_995.0 => (rate / 1e3, "k"),
        rate => return number::rate(rate),
    };
    let decimals = match scaled {
        scaled if scaled >= 99.95 => 0,
        scaled if scaled >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.decimals$}{unit}/s")
}

/// Characters of a subject that a line has room for: a command line may be longer.
const NAME_CHARS: usize = 32;

fn name(capacity: &Capacity) -> String {
    shortened(&capacity.subject, NAME_CHARS)
}

/// Blocks of nearly the same rate.
struct Row<'a> {
    points: Vec<&'a Point>,
}

impl Row<'_> {
    fn held(&self) -> usize {
        self.points.iter().filter(|point| point.holds).count()
    }

    fn median(&self, figure: impl Fn(&Point) -> Option<f64>) -> Option<f64> {
        crate::figures::median(self.points.iter().filter_map(|point| figure(point)))
    }

    fn distance(&self, from: f64) -> f64 {
        let offered = self.median(|point| Some(point.offered));
        offered.map_or(f64::INFINITY, |offered| (offered / from).ln().abs())
    }
}

fn points(plan: &CapacityPlan, capacity: &Capacity) -> String {
    let mut sorted: Vec<&Point> = capacity.points.iter().collect();
    sorted.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    let mut rows: Vec<Row<'_>> = Vec::new();
    for point in sorted {
        match rows.last_mut() {
            Some(row) if point.offered <= row.points[0].offered * (1.0 + plan.resolution) => {
                row.points.push(point);
            }
            _ => rows.push(Row {
                points: vec![point],
            }),
        }
    }
    let all = rows.len();
    if let Some(rate) = capacity.rate.filter(|_| all > MOST_ROWS) {
        rows.sort_by(|a, b| a.distance(rate).total_cmp(&b.distance(rate)));
        rows.truncate(MOST_ROWS);
        rows.sort_by(|a, b| a.points[0].offered.total_cmp(&b.points[0].offered));
    }
    rows.truncate(MOST_ROWS);
    let left_out = all - rows.len();
    let mut lines = vec![
        ["    offered", "held", "achieved", "p50", "p99", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    lines.extend(rows.iter().map(cells));
    let mut out = table::render(&lines, &[&[table::RIGHT; 5][..], &[table::LEFT]].concat());
    if left_out > 0 {
        out.push_str(&format!(
            "    {left_out} more rates, further away, are in the run file\n"
        ));
    }
    out
}

fn cells(row: &Row<'_>) -> Vec<String> {
    let (first, last) = (row.points[0], row.points[row.points.len() - 1]);
    let offered = if first.offered < last.offered {
        format!("{}–{}", short_rate(first.offered), short_rate(last.offered))
    } else {
        short_rate(first.offered)
    };
    let invalid = row.points.iter().find_map(|point| point.invalid.as_deref());
    let achieved = row.median(|point| Some(point.achieved)).unwrap_or_default();
    vec![
        format!("    {offered}"),
        format!("{} of {}", row.held(), row.points.len()),
        short_rate(achieved),
        number::micros_or_dash(row.median(|point| point.p50_us)),
        number::micros_or_dash(row.median(|point| point.p99_us)),
        invalid.map_or_else(String::new, |_| "client late or busy".to_owned()),
    ]
}
