//! Response times by percentile, on an axis of 1/(1−q): each further nine is as wide as
//! the one before, so that the rare and slow is seen as well as the median.

use hdrhistogram::Histogram;

use super::markup::{Align, details, escape, table};
use super::palette::{Palette, name};
use super::plot::{self, LEFT, Plot, RIGHT, Series, TOP};
use super::scale::{Kind, Scale};
use crate::figures::decode;
use crate::run::ScenarioRun;
use crate::text::number;

const HEIGHT: f64 = 340.0;

/// Points for each halving of the distance to 100 %.
const TICKS_PER_HALF_DISTANCE: u32 = 4;

/// Samples beyond a percentile for it to say something. What lies further out is drawn
/// faintly.
const SAMPLES_BEYOND: f64 = 10.0;

/// What is written below the axis, and where: 1/(1−q).
const TICKS: [(f64, &str); 7] = [
    (2.0, "50%"),
    (10.0, "90%"),
    (100.0, "99%"),
    (1e3, "99.9%"),
    (1e4, "99.99%"),
    (1e5, "99.999%"),
    (1e6, "99.9999%"),
];

struct Line {
    index: usize,
    name: String,
    histogram: Histogram<u64>,
}

/// The plot of all subjects, with the figures as a table.
pub(super) fn figure(scenario: &ScenarioRun, id: &str, palette: &Palette) -> String {
    let lines: Vec<Line> = scenario
        .figures
        .iter()
        .filter_map(|figures| {
            Some(Line {
                index: palette.index(scenario, figures),
                name: name(scenario, figures),
                histogram: decode(&figures.response_histogram).filter(|h| !h.is_empty())?,
            })
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let most = lines
        .iter()
        .map(|line| line.histogram.len())
        .max()
        .unwrap_or(1);
    let x = Scale {
        kind: Kind::Log,
        from: 1.0,
        to: (most as f64).clamp(100.0, 1e7),
        start: LEFT,
        end: RIGHT,
    };
    let times = lines.iter().flat_map(|line| {
        let h = &line.histogram;
        [h.value_at_quantile(0.01), h.max()].map(|nanos| nanos as f64 / 1e3)
    });
    let y = Scale::log_over(times, HEIGHT - plot::BELOW, TOP);
    let mut plot = Plot::new((x, "quantile"), (y, "us"), HEIGHT);
    plot.y_axis(&y.ticks(6), plot::micros);
    for (at, text) in TICKS.into_iter().filter(|(at, _)| *at <= x.to) {
        plot.x_tick(at, text);
    }
    for line in &lines {
        draw(&mut plot, line);
    }
    let legend: Vec<_> = lines.iter().map(|l| (l.index, l.name.clone())).collect();
    let about = format!(
        "Response time of {} by percentile; the table below has the figures.",
        lines
            .iter()
            .map(|l| l.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    );
    let svg = plot.render(
        &format!("{id}-percentiles"),
        "Response time by percentile",
        &about,
    );
    let content = format!(
        "{}{svg}{}",
        plot::legend(&legend),
        details("Percentiles as a table", &as_table(&lines))
    );
    plot::figure(
        "Response time by percentile",
        "from the moment a request was due; faint where fewer than 10 samples lie beyond",
        &content,
    )
}

fn draw(plot: &mut Plot, line: &Line) {
    let limit = line.histogram.len() as f64 / SAMPLES_BEYOND;
    let points: Vec<(f64, f64)> = line
        .histogram
        .iter_quantiles(TICKS_PER_HALF_DISTANCE)
        .filter(|step| step.quantile_iterated_to() < 1.0)
        .map(|step| {
            let beyond = 1.0 / (1.0 - step.quantile_iterated_to());
            (beyond, step.value_iterated_to() as f64 / 1e3)
        })
        .collect();
    let sure = points
        .iter()
        .take_while(|(beyond, _)| *beyond <= limit)
        .count();
    let series = |class| Series {
        index: line.index,
        name: &line.name,
        class,
    };
    // Both parts share a point, so that there is no gap.
    plot.line(
        &series("faint"),
        &[points[sure.saturating_sub(1)..].to_vec()],
    );
    plot.line(&series("strong"), &[points[..sure].to_vec()]);
    let marks: Vec<_> = TICKS
        .iter()
        .take_while(|(beyond, _)| *beyond <= limit)
        .map(|(beyond, text)| {
            let micros = line.histogram.value_at_quantile(1.0 - 1.0 / beyond) as f64 / 1e3;
            let words = format!("{}: {text} within {}", line.name, number::micros(micros));
            (*beyond, micros, words)
        })
        .collect();
    plot.points(&series("strong"), &marks);
}

fn as_table(lines: &[Line]) -> String {
    let mut heads = vec![("", Align::Text), ("samples", Align::Number)];
    heads.extend(TICKS.iter().map(|(_, text)| (*text, Align::Number)));
    heads.push(("max", Align::Number));
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let histogram = &line.histogram;
            let mut row = vec![escape(&line.name), number::count(histogram.len())];
            row.extend(TICKS.iter().map(|(beyond, _)| {
                if *beyond > histogram.len() as f64 / SAMPLES_BEYOND {
                    return "–".to_owned();
                }
                let nanos = histogram.value_at_quantile(1.0 - 1.0 / beyond);
                number::micros(nanos as f64 / 1e3)
            }));
            row.push(number::micros(histogram.max() as f64 / 1e3));
            row
        })
        .collect();
    table("", &heads, &rows)
}
