//! The highest rate that holds: what each subject was found to carry, and its response
//! times against load.

use super::markup::{Align, escape, table};
use super::palette::Palette;
use super::plot::{self, BELOW, LEFT, Plot, RIGHT, Series, TOP};
use super::scale::Scale;
use crate::bound::Bound;
use crate::capacity::{Capacity, Limit, Point};
use crate::run::ScenarioRun;
use crate::text::latency::subject_name;
use crate::text::number;

const HEIGHT: f64 = 340.0;

/// The table and the plot; nothing where no capacity was searched for.
pub(super) fn figure(scenario: &ScenarioRun, id: &str, palette: &Palette) -> String {
    if scenario.capacity.is_empty() {
        return String::new();
    }
    let bound = scenario.header.capacity.as_ref().map(|plan| &plan.bound);
    format!(
        "{}{}",
        found(&scenario.capacity, bound),
        curve(scenario, bound, id, palette)
    )
}

fn found(capacities: &[Capacity], bound: Option<&Bound>) -> String {
    let head = bound.map_or("highest rate".to_owned(), |bound| {
        format!("highest rate with {bound}")
    });
    let heads = [
        ("", Align::Text),
        (head.as_str(), Align::Number),
        ("over the rounds", Align::Number),
        ("limited by", Align::Text),
        ("why", Align::Text),
    ];
    let rows: Vec<Vec<String>> = capacities
        .iter()
        .map(|capacity| {
            let rate = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), number::rate);
            let range = format!("{} … {}", rate(capacity.low), rate(capacity.high));
            let limit = match capacity.limited_by {
                Limit::Bound => "the bound",
                Limit::LoadClient => "the load client: it may carry more",
                Limit::Most => "the plan: no more was tried",
                Limit::Unfinished => "cut short",
            };
            vec![
                escape(subject_name(&capacity.subject)),
                format!("<b>{}</b>", rate(capacity.rate)),
                range,
                limit.to_owned(),
                escape(&capacity.why),
            ]
        })
        .collect();
    table("", &heads, &rows)
}

/// The figure that the plot shows of a point: the one that the bound speaks of, if it
/// speaks of a response time, else the 99th percentile.
fn height(point: &Point, time_bound: Option<&Bound>) -> Option<f64> {
    match time_bound {
        Some(_) => point.value,
        None => point.p99_us,
    }
}

fn curve(scenario: &ScenarioRun, bound: Option<&Bound>, id: &str, palette: &Palette) -> String {
    let capacities = &scenario.capacity;
    let index = |capacity: &Capacity| palette.index_of_subject(scenario, &capacity.subject);
    // CPU time and memory are no response time, whatever their unit.
    let time_bound = bound.filter(|bound| bound.metric.quantile().is_some());
    let points = || capacities.iter().flat_map(|capacity| &capacity.points);
    let most = points().map(|point| point.offered).fold(0.0, f64::max);
    let heights = points()
        .flat_map(|point| [height(point, time_bound), point.p50_us])
        .flatten()
        .chain(time_bound.map(|bound| bound.value));
    let x = Scale::from_zero(most, LEFT, RIGHT);
    let y = Scale::log_over(heights, HEIGHT - BELOW, TOP);
    let mut plot = Plot::new((x, "rate"), (y, "us"), HEIGHT);
    plot.y_axis(&y.ticks(6), plot::micros);
    for tick in x.ticks(5) {
        plot.x_tick(tick, &plot::rate(tick));
    }
    for capacity in capacities {
        draw(&mut plot, capacity, time_bound, index(capacity));
    }
    if let Some(bound) = time_bound {
        plot.mark_y(bound.value, "limit", &bound.to_string());
    }
    let shown = time_bound.map_or("p99", |bound| bound.metric.word());
    let legend: Vec<_> = capacities
        .iter()
        .map(|c| (index(c), subject_name(&c.subject).to_owned()))
        .collect();
    let svg = plot.render(
        &format!("{id}-capacity"),
        "Response time against load",
        "Response time at each rate that was tried, with the bound; the table above has what was found.",
    );
    plot::figure(
        "Response time against load",
        &format!(
            "{shown} (strong) and p50 (faint) at each rate that was tried; hollow where the bound did not hold; \
             shaded between the least and the most that a round found"
        ),
        &format!("{}{svg}", plot::legend(&legend)),
    )
}

fn draw(plot: &mut Plot, capacity: &Capacity, time_bound: Option<&Bound>, index: usize) {
    let name = subject_name(&capacity.subject);
    if let (Some(low), Some(high)) = (capacity.low, capacity.high) {
        let words = format!("{name}: {} … {}", number::rate(low), number::rate(high));
        let series = Series {
            index,
            name,
            class: "range",
        };
        plot.range(&series, (low, high), "found", &words);
    }
    let shown = time_bound.map_or("p99", |bound| bound.metric.word());
    let upper = format!("{name} {shown}");
    let lower = format!("{name} p50");
    let strong = Series {
        index,
        name: &upper,
        class: "strong",
    };
    let faint = Series {
        index,
        name: &lower,
        class: "faint",
    };
    plot.line(&faint, &[by_rate(&capacity.points, |point| point.p50_us)]);
    plot.line(
        &strong,
        &[by_rate(&capacity.points, |point| height(point, time_bound))],
    );
    for holds in [true, false] {
        let marks: Vec<_> = capacity
            .points
            .iter()
            .filter(|point| point.holds == holds)
            .filter_map(|point| {
                let value = height(point, time_bound)?;
                let verdict = match (&point.invalid, holds) {
                    (Some(why), _) => format!("invalid, {why}"),
                    (None, true) => "holds".to_owned(),
                    (None, false) => "does not hold".to_owned(),
                };
                let rate = number::rate(point.offered);
                Some((
                    point.offered,
                    value,
                    format!("{rate}: {}, {verdict}", number::micros(value)),
                ))
            })
            .collect();
        let class = if holds { "holds" } else { "breaks" };
        plot.points(&Series { index, name, class }, &marks);
    }
}

/// One point for each rate, in order: the median of those that were tried more than once.
fn by_rate(points: &[Point], figure: impl Fn(&Point) -> Option<f64>) -> Vec<(f64, f64)> {
    let mut rates: Vec<f64> = points.iter().map(|point| point.offered).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    rates
        .into_iter()
        .filter_map(|rate| {
            let same = points.iter().filter(|point| point.offered == rate);
            Some((rate, crate::figures::median(same.filter_map(&figure))?))
        })
        .collect()
}
