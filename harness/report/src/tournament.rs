//! One table of a tournament: a row for each figure of each suite, a column for each
//! proxy.

use crate::bound::Metric;
use crate::compare::design::Kind;
use crate::compare::metrics::more_is_worse;
use crate::compare::{ScenarioComparison, Word};
use crate::event::Role;
use crate::figures::{DIRECT, Figures};
use crate::health;
use crate::run::{RunFile, ScenarioRun};
use crate::text::compare;

/// The table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The proxies, the one that the others are compared with first; going direct last.
    pub proxies: Vec<String>,
    /// Suite by suite.
    pub rows: Vec<Row>,
}

/// One figure of one suite.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The suite's name.
    pub suite: String,
    /// What it is.
    pub figure: String,
    /// Whether it is no figure, but what became of a process.
    pub is_fate: bool,
    /// One for each proxy.
    pub cells: Vec<Cell>,
}

/// One figure of one proxy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// The figure.
    pub text: String,
    /// Over that of the first proxy, pair by pair.
    pub ratio: Option<f64>,
    /// What can be said of the difference.
    pub word: Option<Word>,
    /// Whether no other proxy is better.
    pub is_best: bool,
}

impl Cell {
    fn plain(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

impl Table {
    /// The table of a run; none if it is not a tournament.
    #[must_use]
    pub fn of(run: &RunFile) -> Option<Self> {
        let design = run.header.design.as_ref();
        let design = design.filter(|design| design.kind == Kind::Tournament)?;
        let mut proxies = vec![design.baseline.clone()];
        proxies.extend(design.candidates.iter().cloned());
        let mut rows = Vec::new();
        for scenario in &run.scenarios {
            if scenario.has_garbage() {
                rows.extend(survival(scenario, &proxies));
            } else {
                rows.extend(figures(run, scenario, &proxies));
            }
        }
        let has_direct =
            |scenario: &ScenarioRun| scenario.figures.iter().any(|row| row.subject == DIRECT);
        if run.scenarios.iter().any(has_direct) && !proxies.iter().any(|proxy| proxy == DIRECT) {
            proxies.push(DIRECT.to_owned());
        }
        for row in &mut rows {
            row.cells
                .resize_with(proxies.len(), || Cell::plain("-".to_owned()));
        }
        Some(Self { proxies, rows })
    }
}

/// What is shown of a suite with figures: a closed loop claims no latency.
fn metrics(scenario: &ScenarioRun) -> &'static [Metric] {
    let is_open = scenario
        .blocks
        .iter()
        .flat_map(|block| &block.loads)
        .filter_map(|load| load.record.as_ref())
        .any(|record| record.mode == "open");
    if scenario
        .figures
        .iter()
        .any(|figures| figures.lines.is_some())
    {
        return &[Metric::LinesPerCpuSecond, Metric::PeakMemory];
    }
    let mut loads = scenario.blocks.iter().flat_map(|block| &block.loads);
    if loads.any(|load| load.bulk_gbit().is_some()) {
        &[
            Metric::Throughput,
            Metric::BitsPerCpuSecond,
            Metric::PeakMemory,
        ]
    } else if is_open {
        &[
            Metric::P50,
            Metric::P99,
            Metric::CpuPerMsg,
            Metric::PeakMemory,
        ]
    } else {
        &[Metric::Rate, Metric::CpuPerMsg, Metric::PeakMemory]
    }
}

fn figures(run: &RunFile, scenario: &ScenarioRun, proxies: &[String]) -> Vec<Row> {
    let row = |metric: Metric| {
        let of = |subject: &str| {
            let row = scenario.figures.iter().find(|row| row.subject == subject);
            row.and_then(|row| value(row, metric))
        };
        let values: Vec<Option<f64>> = proxies.iter().map(|proxy| of(proxy)).collect();
        let best = best(metric, &values);
        let mut cells: Vec<Cell> = proxies
            .iter()
            .zip(&values)
            .map(|(proxy, value)| {
                let found = compared(run, scenario, proxy);
                let of_metric = found.and_then(|found| {
                    let mut metrics = found.metrics.iter();
                    metrics.find(|compared| compared.metric == metric)
                });
                // Who loses messages or dies is not praised for being fast.
                let fault = found
                    .map(|found| found.word)
                    .filter(|word| matches!(word, Word::Crashed | Word::WorseIntegrity));
                Cell {
                    text: value
                        .map_or_else(|| "-".to_owned(), |value| compare::value(metric, value)),
                    ratio: of_metric.map(|compared| compared.ratio),
                    word: fault.or(of_metric.map(|compared| compared.word)),
                    is_best: fault.is_none() && value.is_some() && *value == best,
                }
            })
            .collect();
        if !proxies.iter().any(|proxy| proxy == DIRECT) {
            let text =
                of(DIRECT).map_or_else(|| "-".to_owned(), |value| compare::value(metric, value));
            cells.push(Cell::plain(text));
        }
        Row {
            suite: scenario.header.name.clone(),
            figure: compare::name(metric).to_owned(),
            is_fate: false,
            cells,
        }
    };
    metrics(scenario)
        .iter()
        .map(|metric| row(*metric))
        .collect()
}

fn survival(scenario: &ScenarioRun, proxies: &[String]) -> Vec<Row> {
    let row = |role: Role| {
        let status = |proxy: &String| {
            let block = scenario.blocks.iter().find(|block| block.subject == *proxy);
            block.map_or_else(
                || "-".to_owned(),
                |block| health::status(block, role).to_string(),
            )
        };
        Row {
            suite: scenario.header.name.clone(),
            figure: role.word().to_owned(),
            is_fate: true,
            cells: proxies
                .iter()
                .map(|proxy| Cell::plain(status(proxy)))
                .collect(),
        }
    };
    vec![row(Role::Upstream), row(Role::Proxy)]
}

fn compared<'a>(
    run: &'a RunFile,
    scenario: &ScenarioRun,
    proxy: &str,
) -> Option<&'a ScenarioComparison> {
    let mut comparisons = run.comparisons.iter();
    let found = comparisons.find(|comparison| comparison.candidate == proxy)?;
    let mut scenarios = found.scenarios.iter();
    scenarios.find(|compared| compared.scenario == scenario.header.name)
}

fn value(figures: &Figures, metric: Metric) -> Option<f64> {
    match metric {
        Metric::P50 => figures.response_us.p50,
        Metric::P99 => figures.response_us.p99,
        Metric::Rate => Some(figures.rate),
        Metric::CpuPerMsg => figures.cpu_us_per_msg,
        Metric::Throughput => figures.gbit_per_s,
        Metric::BitsPerCpuSecond => figures.gbit_per_cpu_s,
        Metric::LinesPerCpuSecond => figures.lines.as_ref()?.per_cpu_s,
        Metric::PeakMemory => figures.peak_memory_bytes.map(|bytes| bytes as f64),
        _ => None,
    }
}

fn best(metric: Metric, values: &[Option<f64>]) -> Option<f64> {
    let values = values.iter().flatten().copied();
    if !more_is_worse(metric) {
        values.max_by(f64::total_cmp)
    } else {
        values.min_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::design::Design;
    use crate::fixtures::{Story, load_record};

    #[test]
    fn every_proxy_has_its_column_and_the_best_is_marked() {
        let mut story = Story::new(Vec::new());
        for (subject, micros) in [("builtin", 90), ("nginx", 110), ("direct", 70)] {
            story = story.block(subject).load(load_record(100, micros));
        }
        let mut run = RunFile::from_events(&story.end().0);
        assert_eq!(Table::of(&run), None, "an ordinary run");
        run.header.design = Some(Design {
            kind: Kind::Tournament,
            baseline: "builtin".to_owned(),
            candidates: vec!["nginx".to_owned()],
            pairs: 1,
            spare_pairs: 0,
            history: None,
        });
        run.conclude();
        let table = Table::of(&run).unwrap();
        assert_eq!(table.proxies, ["builtin", "nginx", "direct"]);
        let markdown = crate::markdown::render(&run);
        let head = "| suite | figure | builtin | nginx | direct |\n";
        assert!(markdown.contains(head), "{markdown}");
        assert!(
            markdown.contains("| made-up | p50 | **90.0 µs** | 110 µs"),
            "{markdown}"
        );
        let p50 = &table.rows[0];
        assert_eq!((p50.figure.as_str(), p50.cells.len()), ("p50", 3));
        let best: Vec<bool> = p50.cells.iter().map(|cell| cell.is_best).collect();
        assert_eq!(best, [true, false, false], "{p50:?}");
    }

    #[test]
    fn garbage_shows_who_survives() {
        let story = Story::new(Vec::new())
            .block("builtin")
            .garbage(1 << 20)
            .block("nginx")
            .garbage(1 << 20)
            .exit(Role::Upstream, "SIGSEGV", false);
        let run = RunFile::from_events(&story.end().0);
        let proxies = ["builtin".to_owned(), "nginx".to_owned()];
        let rows = survival(&run.scenarios[0], &proxies);
        assert_eq!(rows[0].cells[1].text, "died (SIGSEGV)");
    }
}
