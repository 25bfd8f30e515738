//! What a line costs as something grows: scenarios whose names differ in a number only.

use super::{heading, number, table};
use crate::figures::{Figures, LineFigures};
use crate::run::{RunFile, ScenarioRun};

/// Scenarios of one name, with a number behind each, in their order.
struct Curve<'a> {
    name: &'a str,
    points: Vec<(u64, &'a Figures, &'a LineFigures)>,
}

/// What the columns hold.
pub(crate) const HEAD: [&str; 5] = ["", "CPU per line", "beside the least", "received", "share"];

/// The section of a run; empty if it has no curve.
#[must_use]
pub fn section(run: &RunFile) -> String {
    let mut out = String::new();
    for (name, rows) in tables(run) {
        out.push_str(&heading("CURVE", &name));
        let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
        lines.extend(rows);
        out.push_str(&table::render(&lines, &[table::RIGHT; 5]));
    }
    out
}

/// A table for each curve: its name, and a row for each point.
pub(crate) fn tables(run: &RunFile) -> Vec<(String, Vec<Vec<String>>)> {
    let curves = curves(run).into_iter();
    curves
        .map(|curve| (curve.name.to_owned(), rows(&curve)))
        .collect()
}

fn curves(run: &RunFile) -> Vec<Curve<'_>> {
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for scenario in &run.scenarios {
        let Some((name, at)) = numbered(&scenario.header.name) else {
            continue;
        };
        let Some((figures, lines)) = judged(scenario) else {
            continue;
        };
        let point = (at, figures, lines);
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name,
                points: vec![point],
            }),
        }
    }
    curves.retain(|curve| curve.points.len() > 1);
    curves
}

/// The figures of the first subject.
fn judged(scenario: &ScenarioRun) -> Option<(&Figures, &LineFigures)> {
    let mut figures = scenario.figures.iter();
    let figures = figures.find(|figures| figures.subject == scenario.subject())?;
    Some((figures, figures.lines.as_ref()?))
}

/// `statsd-nodes` and 10 for `statsd-nodes-10`.
fn numbered(name: &str) -> Option<(&str, u64)> {
    let (name, number) = name.rsplit_once('-')?;
    Some((name, number.parse().ok()?))
}

fn rows(curve: &Curve<'_>) -> Vec<Vec<String>> {
    let costs = || curve.points.iter().filter_map(|(.., lines)| cost_ns(lines));
    let least = costs().reduce(f64::min);
    let row = |(at, figures, lines): &(u64, &Figures, &LineFigures)| {
        let cost = cost_ns(lines);
        let beside = cost.zip(least).map(|(cost, least)| cost / least);
        let invalid = if figures.is_valid() { "" } else { " INVALID" };
        vec![
            number::count(*at),
            cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.0} ns")),
            number::ratio(beside),
            number::rate(lines.received_per_s),
            super::account::percent(lines.received_share) + invalid,
        ]
    };
    curve.points.iter().map(row).collect()
}

/// CPU time of the proxy for a line, in nanoseconds.
fn cost_ns(lines: &LineFigures) -> Option<f64> {
    lines
        .per_cpu_s
        .filter(|lines| *lines > 0.0)
        .map(|lines| 1e9 / lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ScenarioHeader;

    fn scenario(name: &str, per_cpu_s: f64) -> ScenarioRun {
        ScenarioRun {
            header: ScenarioHeader {
                name: name.to_owned(),
                subjects: vec!["builtin".to_owned()],
                ..ScenarioHeader::default()
            },
            figures: vec![Figures {
                subject: "builtin".to_owned(),
                blocks: 1,
                valid_blocks: 1,
                lines: Some(LineFigures {
                    received_per_s: 500_000.0,
                    received_share: 1.0,
                    per_cpu_s: Some(per_cpu_s),
                }),
                ..Figures::default()
            }],
            ..ScenarioRun::default()
        }
    }

    #[test]
    fn scenarios_of_one_name_are_a_curve() {
        let run = RunFile {
            scenarios: vec![
                scenario("statsd-nodes-3", 2_000_000.0),
                scenario("statsd-nodes-100", 1_000_000.0),
                scenario("statsd-keys-10", 1.0),
                scenario("statsd-single", 1.0),
            ],
            ..RunFile::default()
        };
        let tables = tables(&run);
        assert_eq!(tables.len(), 1, "one point is no curve");
        let (name, rows) = &tables[0];
        assert_eq!(name, "statsd-nodes");
        assert_eq!(rows[0][..3], ["3", "500 ns", "1.00×"]);
        assert_eq!(rows[1][..3], ["100", "1000 ns", "2.00×"]);
        assert!(section(&run).contains("CURVE  statsd-nodes"));
    }
}
