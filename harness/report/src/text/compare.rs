//! One version beside another: what was found, and how certain it is.

use super::{heading, number, table};
use crate::bound::{Metric, Unit};
use crate::compare::design::{Conduct, Kind};
use crate::compare::{Comparison, MetricComparison, ScenarioComparison};
use crate::run::RunFile;

/// The comparisons of a run that are judgements. A tournament is a table.
pub(crate) fn judged(run: &RunFile) -> impl Iterator<Item = &Comparison> {
    let design = run.header.design.as_ref();
    let is_judged = design.is_some_and(|design| design.kind != Kind::Tournament);
    run.comparisons.iter().filter(move |_| is_judged)
}

/// Reasons for leaving pairs out that a reader wants to see; the run file has all.
pub(crate) const LEFT_OUT_SHOWN: usize = 3;

/// Who beside whom, and the word in capitals.
pub(crate) fn headline(comparison: &Comparison) -> String {
    let Comparison {
        baseline,
        candidate,
        word,
        ..
    } = comparison;
    format!(
        "{candidate} beside {baseline}: {}",
        word.text().to_uppercase()
    )
}

/// The section; empty if nothing was to be compared.
#[must_use]
pub fn section(run: &RunFile) -> String {
    judged(run).map(comparison).collect()
}

fn comparison(comparison: &Comparison) -> String {
    let about = format!("{} — {}", headline(comparison), comparison.why);
    let mut out = heading("COMPARISON", &about);
    for compared in &comparison.scenarios {
        out.push_str(&scenario(compared));
    }
    for note in &comparison.notes {
        out.push_str(&format!("  note: {note}\n"));
    }
    out
}

fn scenario(compared: &ScenarioComparison) -> String {
    let (name, word, pairs) = (&compared.scenario, compared.word.text(), compared.pairs);
    let plural = if pairs == 1 { "" } else { "s" };
    let mut out = format!("  {name}: {word} ({pairs} pair{plural})\n");
    if !compared.metrics.is_empty() {
        let head = HEAD.map(str::to_owned).to_vec();
        let rows = compared.metrics.iter().map(row);
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let aligns = [&[table::LEFT][..], &[table::RIGHT; 7], &[table::LEFT]].concat();
        out.push_str(&table::render(&rows, &aligns));
    }
    let left_out = number::first_few(&compared.left_out, LEFT_OUT_SHOWN)
        .into_iter()
        .map(|why| format!("left out: {why}"));
    for line in left_out.chain(conduct(compared)) {
        out.push_str(&format!("  {line}\n"));
    }
    out
}

/// What the cells of [`row`] hold.
pub(crate) const HEAD: [&str; 9] = [
    "",
    "baseline",
    "candidate",
    "change",
    "interval",
    "p",
    "margin",
    "detectable",
    "verdict",
];

/// One metric, as the columns of [`HEAD`] say.
pub(crate) fn row(metric: &MetricComparison) -> Vec<String> {
    let dash = || "-".to_owned();
    let interval = metric.low.zip(metric.high);
    let interval =
        interval.map(|(low, high)| format!("{} to {}", number::change(low), number::change(high)));
    let word = if metric.is_judged {
        metric.word.text().to_owned()
    } else {
        "for information".to_owned()
    };
    vec![
        name(metric.metric).to_owned(),
        value(metric.metric, metric.baseline),
        value(metric.metric, metric.candidate),
        number::change(metric.ratio),
        interval.unwrap_or_else(dash),
        number::p_value(metric.p),
        number::percent(metric.margin),
        metric.detectable.map_or_else(dash, number::percent),
        word,
    ]
}

/// What a metric is called in a table.
pub(crate) fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::CpuPerMsg => "CPU/msg",
        Metric::PeakMemory => "memory",
        Metric::BitsPerCpuSecond => "per CPU s",
        other => other.word(),
    }
}

/// A value with its unit.
pub(crate) fn value(metric: Metric, value: f64) -> String {
    match metric.unit() {
        Unit::Time => number::micros(value),
        Unit::Rate => number::rate(value),
        Unit::Gigabits => number::gigabits(value),
        Unit::Size => number::bytes(value as u64),
        Unit::Count => number::count(value as u64),
        Unit::Share => number::percent(value / 100.0),
    }
}

/// What became of the requests and processes, if there is anything to tell.
pub(crate) fn conduct(compared: &ScenarioComparison) -> Vec<String> {
    let sides = [
        ("baseline", &compared.baseline),
        ("candidate", &compared.candidate),
    ];
    let is_telling = |conduct: &Conduct| {
        conduct.failed > 0
            || !conduct.wrong.is_empty()
            || !conduct.proxy_troubles.is_empty()
            || !conduct.upstream_troubles.is_empty()
    };
    // If one side did badly, it is worth knowing that the other did not.
    if !sides.iter().any(|(_, conduct)| is_telling(conduct)) {
        return Vec::new();
    }
    sides.map(|(side, conduct)| said(side, conduct)).to_vec()
}

fn said(side: &str, conduct: &Conduct) -> String {
    let wrong: Vec<String> = conduct
        .wrong
        .iter()
        .map(|(kind, count)| format!("{kind} {}", number::count(*count)))
        .collect();
    let wrong = if wrong.is_empty() {
        "no wrong answer".to_owned()
    } else {
        wrong.join(", ")
    };
    let (sent, failed) = (number::count(conduct.sent), number::count(conduct.failed));
    let troubles = |role: &str, troubles: &[String]| {
        let shown = troubles.first().map(|first| match troubles.len() {
            1 => first.clone(),
            many => format!("{first} and {} more", many - 1),
        });
        shown.map_or_else(String::new, |shown| format!("; {role}: {shown}"))
    };
    format!(
        "{side}: {sent} requests, {wrong}, {failed} failed{}{}",
        troubles("proxy", &conduct.proxy_troubles),
        troubles("upstream", &conduct.upstream_troubles)
    )
}
