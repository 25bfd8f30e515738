//! Why a word was chosen, in words that can be read aloud.

use super::word::Unrest;
use super::{MetricComparison, Word, metrics};
use crate::text::number;

/// Why the metric has its word. `drift` is how much going direct has changed since the
/// baseline was measured, as a logarithm.
pub(super) fn of(metric: &MetricComparison, unrest: Unrest, drift: Option<f64>) -> String {
    let name = metric.metric.word();
    let margin = number::percent(metric.margin);
    let Some((low, high)) = metric.low.zip(metric.high) else {
        return without_interval(metric, unrest, &margin);
    };
    let span = format!("{} to {}", number::change(low), number::change(high));
    let change = number::change(metric.ratio);
    match metric.word {
        Word::Slower | Word::Faster => {
            format!("{name} {change} ({span}), beyond the margin of {margin}")
        }
        Word::ChangedWithinMargin => {
            format!("{name} {change} ({span}), within the margin of {margin}")
        }
        Word::Unstable if unrest.has_moved => {
            let drift = number::change(drift.unwrap_or(0.0).exp());
            format!(
                "{name} of going direct has itself changed by {drift} since the baseline was measured, and the margin is {margin}"
            )
        }
        Word::Unstable => format!(
            "{name} {change} ({span}), but {}",
            restless(unrest, &margin)
        ),
        Word::Inconclusive if low > 1.0 || high < 1.0 => {
            let p = number::p_value(metric.p);
            let side = if (low > 1.0) == metrics::more_is_worse(metric.metric) {
                "worse"
            } else {
                "better"
            };
            format!(
                "{name} is {side} (p {p}), but {span} straddles the margin of {margin}: whether it matters cannot be told"
            )
        }
        Word::Inconclusive => {
            format!("{name} may have changed by anything from {span}, and the margin is {margin}")
        }
        _ => format!("{name} {change} ({span}), the margin is {margin}"),
    }
}

fn without_interval(metric: &MetricComparison, unrest: Unrest, margin: &str) -> String {
    let name = metric.metric.word();
    if metric.word == Word::Unstable {
        return format!("{name}: {}", restless(unrest, margin));
    }
    let level = number::p_value(metric.level);
    format!("{name}: too few blocks have it for anything to be significant at the level of {level}")
}

fn restless(unrest: Unrest, margin: &str) -> String {
    let reach = number::percent(unrest.reach.exp_m1());
    format!("like differs from like by up to {reach} here, and the margin is {margin}")
}

/// The word over all judged metrics, and the reasons of those that decide it.
pub(super) fn sum_up(metrics: &[(&MetricComparison, &str)]) -> (Word, String) {
    let judged = || metrics.iter().filter(|(metric, _)| metric.is_judged);
    let Some(word) = judged().map(|(metric, _)| metric.word).min() else {
        return (Word::Invalid, "no metric could be judged".to_owned());
    };
    if word == Word::Equivalent {
        let why = "no difference was seen, and any beyond the margins is ruled out";
        return (word, why.to_owned());
    }
    let deciding = judged().filter(|(metric, _)| metric.word == word);
    let reasons: Vec<&str> = deciding.map(|(_, why)| *why).collect();
    (word, reasons.join("; "))
}
