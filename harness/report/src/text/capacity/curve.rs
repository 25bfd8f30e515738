//! Latency against load, drawn in characters; both scales are logarithmic.

use super::{name, number, short_rate};
use crate::bound::{Metric, Unit};
use crate::capacity::{Capacity, CapacityPlan, Point};

/// Columns of the drawing, without what stands beside it.
const COLUMNS: usize = 60;

/// Rows of the drawing.
const ROWS: usize = 14;

/// The subjects that can be told apart; those beyond are left out.
const MARKS: [char; 6] = ['o', 'x', '+', '*', '#', '@'];

/// Where the bound lies.
const BOUND: char = '┈';

/// Draws the figure that the bound speaks of over the rate, the medians of blocks in the
/// same column, one mark for each subject.
#[must_use]
pub(super) fn draw(plan: &CapacityPlan, all: &[Capacity]) -> String {
    let figure = |point: &Point| point.value.filter(|value| *value > 0.0);
    let seen = || all.iter().take(MARKS.len()).flat_map(|one| &one.points);
    let rates = Scale::over(
        seen()
            .filter(|point| figure(point).is_some())
            .map(|point| point.offered),
        COLUMNS,
    );
    let values = Scale::over(seen().filter_map(figure).chain([plan.bound.value]), ROWS);
    let (Some(rates), Some(values)) = (rates, values) else {
        return String::new();
    };
    let mut grid = vec![vec![' '; COLUMNS]; ROWS];
    grid[values.place(plan.bound.value)].fill(BOUND);
    for (mark, capacity) in MARKS.iter().zip(all).rev() {
        for (column, cells) in columns(&rates, capacity, figure).into_iter().enumerate() {
            if let Some(middle) = crate::figures::median(cells.into_iter()) {
                grid[values.place(middle)][column] = *mark;
            }
        }
    }
    let shown = |value: f64| match plan.bound.metric.unit() {
        Unit::Gigabits => number::gigabits(value),
        Unit::Size => number::bytes(value as u64),
        _ => number::micros(value),
    };
    let mut out = String::new();
    for (row, cells) in grid.iter().enumerate().rev() {
        // A value beside the top, the bottom, and the bound.
        let beside = if row == values.place(plan.bound.value) {
            plan.bound.written.clone()
        } else if row == ROWS - 1 {
            shown(values.high)
        } else if row == 0 {
            shown(values.low)
        } else {
            String::new()
        };
        let line: String = cells.iter().collect();
        out.push_str(format!("  {beside:>10} │{line}").trim_end());
        out.push('\n');
    }
    out.push_str(&format!(
        "  {:>10} └{}\n",
        word(plan.bound.metric),
        "─".repeat(COLUMNS)
    ));
    let (low, high) = (short_rate(rates.low), short_rate(rates.high));
    let gap = COLUMNS.saturating_sub(low.chars().count() + high.chars().count());
    out.push_str(&format!("  {:>10}  {low}{}{high}\n", "", " ".repeat(gap)));
    let legend: Vec<String> = MARKS
        .iter()
        .zip(all)
        .map(|(mark, capacity)| format!("{mark} {}", name(capacity)))
        .collect();
    out.push_str(&format!("  {:>10}  {}\n", "", legend.join("   ")));
    out
}

fn word(metric: Metric) -> &'static str {
    match metric {
        // As wide as what stands above it.
        Metric::CpuPerMsg => "CPU/msg",
        Metric::PeakMemory => "memory",
        other => other.word(),
    }
}

/// The figures of a subject in each column.
fn columns(
    rates: &Scale,
    capacity: &Capacity,
    figure: impl Fn(&Point) -> Option<f64>,
) -> Vec<Vec<f64>> {
    let mut columns = vec![Vec::new(); COLUMNS];
    for point in &capacity.points {
        if let Some(value) = figure(point) {
            columns[rates.place(point.offered)].push(value);
        }
    }
    columns
}

/// A logarithmic scale of so many places.
struct Scale {
    low: f64,
    high: f64,
    places: usize,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>, places: usize) -> Option<Self> {
        let (low, high) = values.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), value| {
            (low.min(value), high.max(value))
        });
        (low <= high && low > 0.0).then_some(Self { low, high, places })
    }

    fn place(&self, value: f64) -> usize {
        let span = (self.high / self.low).ln();
        if span <= 0.0 {
            return self.places / 2;
        }
        let share = (value / self.low).ln() / span;
        (share.clamp(0.0, 1.0) * (self.places - 1) as f64).round() as usize
    }
}
