//! Candidate over baseline, metric below metric on one axis of ratios: the interval with
//! the margin behind it, each pair as a dot, and the baseline beside itself as a ring.

use super::markup::{Tone, chip, escape};
use crate::bound::{Metric, Unit};
use crate::compare::{MetricComparison, ScenarioComparison, Word};
use crate::text::number;

/// Size of the plot of one metric, in its own units.
const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 50.0;

/// Room at both ends, so that a dot at the end of the axis is whole.
const INSET: f64 = 12.0;

/// The axis reaches no further than this ratio and its inverse; what lies beyond is drawn
/// at its end. One wild pair must not flatten all the others.
const FURTHEST: f64 = 4.0;

/// The axis reaches at least this far.
const NEAREST: f64 = 1.12;

/// Changes that may be written along the axis: shares, up to where a factor reads better.
const STEPS: [f64; 9] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0];

/// From the logarithm of a ratio to a place.
struct Axis {
    reach: f64,
}

impl Axis {
    fn over(metrics: &[MetricComparison]) -> Self {
        let all = metrics.iter().flat_map(|metric| {
            let bounds = [metric.low, metric.high, Some(1.0 + 1.5 * metric.margin)];
            let bounds = bounds.into_iter().flatten().map(f64::ln);
            metric
                .differences
                .iter()
                .chain(&metric.noise)
                .copied()
                .chain(bounds)
        });
        let reach = all
            .map(f64::abs)
            .filter(|v| v.is_finite())
            .fold(NEAREST.ln(), f64::max);
        Self {
            reach: (reach * 1.05).min(FURTHEST.ln()),
        }
    }

    fn at(&self, ln: f64) -> f64 {
        let share = if ln.is_nan() {
            0.0
        } else {
            (ln / self.reach).clamp(-1.0, 1.0)
        };
        WIDTH / 2.0 + share * (WIDTH / 2.0 - INSET)
    }

    /// Places and words along the axis, the middle one first.
    fn ticks(&self) -> Vec<(f64, String)> {
        let fits = |step: &&f64| (1.0 + **step).ln() <= self.reach * 0.9;
        let step = STEPS.iter().rev().find(fits).copied().unwrap_or(STEPS[0]);
        let mut ticks = vec![(self.at(0.0), "same".to_owned())];
        if step < 0.5 {
            for change in [-step, step] {
                ticks.push((self.at((1.0 + change).ln()), percent(1.0 + change)));
            }
        } else {
            for ratio in [1.0 / (1.0 + step), 1.0 + step] {
                ticks.push((self.at(ratio.ln()), format!("{ratio:.2}×")));
            }
        }
        ticks
    }
}

/// A ratio as a change: `+3.2 %`.
pub(super) fn percent(ratio: f64) -> String {
    let change = (ratio - 1.0) * 100.0;
    if !change.is_finite() {
        "?".to_owned()
    } else if change.abs() < 0.05 {
        "±0 %".to_owned()
    } else {
        let digits = usize::from(change.abs() < 9.95 && change.fract().abs() > 1e-9);
        format!("{change:+.digits$} %").replace('-', "−")
    }
}

/// What a word means to somebody who would like the candidate.
pub(super) fn tone(word: Word) -> Tone {
    match word {
        Word::Crashed | Word::WorseIntegrity | Word::Slower => Tone::Bad,
        Word::Faster | Word::ChangedWithinMargin | Word::Equivalent => Tone::Good,
        Word::Invalid | Word::Unstable | Word::Inconclusive => Tone::Open,
    }
}

/// The word as a chip.
pub(super) fn word(word: Word) -> String {
    chip(tone(word), word.text())
}

/// What a metric is called in a table, and what is better.
pub(super) fn name(metric: Metric) -> (&'static str, &'static str) {
    match metric {
        Metric::Rate => ("throughput", "more is better"),
        Metric::CpuPerMsg => ("CPU per message", "less is better"),
        Metric::PeakMemory => ("peak memory", "less is better"),
        other => (other.word(), "less is better"),
    }
}

/// A figure in its metric's unit.
pub(super) fn figure(metric: Metric, value: f64) -> String {
    match metric.unit() {
        Unit::Time => number::micros(value),
        Unit::Rate => number::rate(value),
        Unit::Gigabits => number::gigabits(value),
        Unit::Size => number::bytes(value.max(0.0) as u64),
        Unit::Count => number::count(value.max(0.0) as u64),
        Unit::Share => number::percent(value / 100.0),
    }
}

/// All metrics of a scenario below each other, figures and plots in one table.
pub(super) fn table(scenario: &ScenarioComparison) -> String {
    let axis = Axis::over(&scenario.metrics);
    let rows: String = scenario
        .metrics
        .iter()
        .map(|metric| row(metric, &axis))
        .collect();
    format!(
        "<table class=\"forest\"><thead><tr><th scope=\"col\">metric</th><th scope=\"col\" class=\"n\">baseline</th>\
         <th scope=\"col\" class=\"n\">candidate</th><th scope=\"col\" class=\"wide\">candidate over baseline{}</th>\
         <th scope=\"col\" class=\"n\">change</th><th scope=\"col\">verdict</th></tr></thead><tbody>\n{rows}</tbody></table>\n",
        scale(&axis)
    )
}

/// The figures along the axis, above all plots.
fn scale(axis: &Axis) -> String {
    let texts: String = axis
        .ticks()
        .into_iter()
        .map(|(x, text)| format!("<text x=\"{x:.1}\" y=\"13\">{}</text>", escape(&text)))
        .collect();
    format!("<svg class=\"ratio\" viewBox=\"0 0 {WIDTH} 18\" aria-hidden=\"true\">{texts}</svg>")
}

fn row(metric: &MetricComparison, axis: &Axis) -> String {
    let (name, better) = name(metric.metric);
    let verdict = if metric.is_judged {
        word(metric.word)
    } else {
        "<small>for information</small>".to_owned()
    };
    let interval = match (metric.low, metric.high) {
        (Some(low), Some(high)) => format!("{} … {}", percent(low), percent(high)),
        _ => "too few pairs for an interval".to_owned(),
    };
    let detectable = metric.detectable.map_or(String::new(), |least| {
        format!(
            "<br><small>detects {} % and more</small>",
            (least * 1e3).round() / 10.0
        )
    });
    format!(
        "<tr><th scope=\"row\">{name}<br><small>{better}</small></th><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"wide\">{}</td><td class=\"n\"><b>{}</b><br><small>{}</small></td><td>{verdict}{detectable}</td></tr>\n",
        escape(&figure(metric.metric, metric.baseline)),
        escape(&figure(metric.metric, metric.candidate)),
        plot(metric, axis, &interval),
        percent(metric.ratio),
        escape(&interval),
    )
}

fn plot(metric: &MetricComparison, axis: &Axis, interval: &str) -> String {
    let (low, high) = (
        axis.at(-(1.0 + metric.margin).ln()),
        axis.at((1.0 + metric.margin).ln()),
    );
    let mut out = format!(
        "<svg class=\"ratio\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} {}, interval {}\">\
         <rect class=\"margin\" x=\"{low:.1}\" y=\"0\" width=\"{:.1}\" height=\"{HEIGHT}\"><title>margin: {} % either way</title></rect>",
        name(metric.metric).0,
        percent(metric.ratio),
        escape(interval),
        high - low,
        (metric.margin * 1e3).round() / 10.0,
    );
    for (at, (x, _)) in axis.ticks().into_iter().enumerate() {
        let class = if at == 0 { "same" } else { "grid" };
        out.push_str(&format!(
            "<path class=\"{class}\" d=\"M{x:.1} 0V{HEIGHT}\"/>"
        ));
    }
    for (at, difference) in metric.differences.iter().enumerate() {
        let words = format!("pair {}: {}", at + 1, percent(difference.exp()));
        out.push_str(&dot("pair", axis.at(*difference), 29.0, at, &words));
    }
    for (at, difference) in metric.noise.iter().enumerate() {
        let words = format!("baseline with itself: {}", percent(difference.exp()));
        out.push_str(&dot("noise", axis.at(*difference), 42.0, at, &words));
    }
    let tone = match tone(metric.word) {
        Tone::Bad if metric.is_judged => "bad",
        Tone::Good if metric.is_judged => "good",
        _ => "open",
    };
    let middle = axis.at(metric.ratio.ln());
    if let (Some(low), Some(high)) = (metric.low, metric.high) {
        let (from, to) = (axis.at(low.ln()), axis.at(high.ln()));
        out.push_str(&format!(
            "<g class=\"interval {tone}\"><title>{}</title><path d=\"M{from:.1} 13H{to:.1}M{from:.1} 8v10M{to:.1} 8v10\"/>\
             <path class=\"estimate\" d=\"M{middle:.1} 7l6 6l-6 6l-6 -6z\"/></g>",
            escape(interval)
        ));
    } else {
        out.push_str(&format!(
            "<g class=\"interval {tone}\"><path class=\"estimate\" d=\"M{middle:.1} 7l6 6l-6 6l-6 -6z\"/></g>"
        ));
    }
    out.push_str("</svg>");
    out
}

/// A dot, a little up or down by its number, so that equal ones are not one.
fn dot(class: &str, x: f64, y: f64, at: usize, words: &str) -> String {
    let y = y + [0.0, -2.6, 2.6][at % 3];
    format!(
        "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"><title>{}</title></circle>",
        escape(words)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_well() {
        let cases = [
            (1.032, "+3.2 %"),
            (0.7, "−30 %"),
            (1.05, "+5 %"),
            (1.000_1, "±0 %"),
            (f64::NAN, "?"),
        ];
        for (ratio, text) in cases {
            assert_eq!(percent(ratio), text, "{ratio}");
        }
    }

    #[test]
    fn one_wild_pair_does_not_flatten_the_others() {
        let axis = Axis { reach: 0.2 };
        assert!((axis.at(9.0) - (WIDTH - INSET)).abs() < 1e-9);
        assert!((axis.at(f64::NEG_INFINITY) - INSET).abs() < 1e-9);
        assert!((axis.at(0.0) - WIDTH / 2.0).abs() < 1e-9);
        let ticks: Vec<String> = axis.ticks().into_iter().map(|(_, text)| text).collect();
        assert_eq!(ticks, ["same", "−10 %", "+10 %"]);
    }
}
