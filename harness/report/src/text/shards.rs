//! The parts of a load that several clients sent: each beside the others.

use loadgen::record::{Percentiles, ShardFigures};

use super::{heading, number, table};
use crate::run::ScenarioRun;
use crate::words::printable;

/// What the columns of [`row`] hold.
pub(crate) const HEAD: [&str; 8] = [
    "shard",
    "host",
    "requests",
    "p50",
    "p99",
    "send lag p99",
    "ready late",
    "clock",
];

/// Shards that a terminal shows all of: beyond, the extremes say more.
const MOST_IN_FULL: usize = 16;

/// Shards that are shown of each kind of extreme.
const EXTREMES: usize = 3;

/// The section of a scenario; empty if its loads are whole.
#[must_use]
pub fn section(scenario: &ScenarioRun) -> String {
    let all = all(scenario);
    if all.is_empty() {
        return String::new();
    }
    let aligns = [
        table::RIGHT,
        table::LEFT,
        table::RIGHT,
        table::RIGHT,
        table::RIGHT,
        table::RIGHT,
        table::RIGHT,
        table::LEFT,
    ];
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(telling(&all).into_iter().map(|one| row(one).to_vec()));
    heading("SHARDS", &summary(&all)) + &table::render(&rows, &aligns)
}

/// The same in Markdown.
pub(crate) fn markdown(scenario: &ScenarioRun, cell: fn(&str) -> String) -> String {
    let all = all(scenario);
    if all.is_empty() {
        return String::new();
    }
    let head = HEAD.join(" | ");
    let mut out = format!(
        "{}\n\n| {head} |\n| ---: | --- |{} --- |\n",
        cell(&summary(&all)),
        " ---: |".repeat(5)
    );
    for one in telling(&all) {
        let cells = row(one).map(|text| cell(&text));
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out + "\n"
}

/// The shards of all loads.
pub(crate) fn all(scenario: &ScenarioRun) -> Vec<&ShardFigures> {
    let loads = scenario.blocks.iter().flat_map(|block| &block.loads);
    let records = loads.filter_map(|load| load.record.as_ref());
    records.flat_map(|record| &record.shards).collect()
}

/// One shard.
pub(crate) fn row(one: &ShardFigures) -> [String; 8] {
    let shard = &one.shard;
    [
        shard.index.to_string(),
        printable(&shard.host),
        number::count(one.sent),
        number::micros_or_dash(one.response_us.p50),
        number::micros_or_dash(one.response_us.p99),
        number::micros_or_dash(one.send_lag_us.p99),
        late(shard.late_ns),
        clock(one),
    ]
}

fn late(nanos: u64) -> String {
    match nanos {
        0 => "in time".to_owned(),
        nanos => number::micros(nanos as f64 / 1e3),
    }
}

/// How far a shard's wall clock can be off.
fn clock(one: &ShardFigures) -> String {
    let clock = &one.shard.clock;
    match clock.max_error_us {
        Some(most) if clock.synchronised => format!("± {}", number::micros(most as f64)),
        _ => "nobody sets it".to_owned(),
    }
}

/// All in a line.
pub(crate) fn summary(all: &[&ShardFigures]) -> String {
    let mut hosts: Vec<&str> = all.iter().map(|one| one.shard.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let machines = match hosts.len() {
        1 => "1 machine".to_owned(),
        hosts => format!("{} machines", number::count(hosts as u64)),
    };
    let p99 = spread(all, |one| &one.response_us).map(|p99| format!("; p99 {p99}"));
    let lag = spread(all, |one| &one.send_lag_us).map(|lag| format!("; send lag p99 {lag}"));
    let latest = all.iter().map(|one| one.shard.late_ns).max().unwrap_or(0);
    let ready = match latest {
        0 => "; all ready in time".to_owned(),
        latest => format!("; the latest ready {} after the start", late(latest)),
    };
    let unset = all.iter().filter(|one| !one.shard.clock.synchronised);
    let clocks = match unset.count() as u64 {
        0 => String::new(),
        unset => format!("; {} with a clock that nobody sets", number::count(unset)),
    };
    let (shards, plural) = match all.len() as u64 {
        1 => ("1".to_owned(), ""),
        shards => (number::count(shards), "s"),
    };
    format!(
        "{shards} shard{plural} on {machines}{}{}{ready}{clocks}",
        p99.unwrap_or_default(),
        lag.unwrap_or_default()
    )
}

/// From the lowest to the highest p99.
fn spread(all: &[&ShardFigures], of: fn(&ShardFigures) -> &Percentiles) -> Option<String> {
    let values = || all.iter().filter_map(|one| of(one).p99);
    let least = values().min_by(f64::total_cmp)?;
    let most = values().max_by(f64::total_cmp)?;
    let [least, most] = [least, most].map(number::micros);
    Some(if least == most {
        most
    } else {
        format!("{least} to {most}")
    })
}

/// Those to look at, by their numbers: all, or of many those with the longest times, the
/// most send lag, and the latest.
fn telling<'a>(all: &[&'a ShardFigures]) -> Vec<&'a ShardFigures> {
    if all.len() <= MOST_IN_FULL {
        return all.to_vec();
    }
    type Rank = fn(&ShardFigures) -> f64;
    let ranks: [Rank; 3] = [
        |one| one.response_us.p99.unwrap_or_default(),
        |one| one.send_lag_us.p99.unwrap_or_default(),
        |one| one.shard.late_ns as f64,
    ];
    let mut shown: Vec<usize> = Vec::new();
    for rank in ranks {
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|one, other| rank(all[*other]).total_cmp(&rank(all[*one])));
        let first = order.into_iter().filter(|at| rank(all[*at]) > 0.0);
        shown.extend(first.take(EXTREMES));
    }
    shown.sort_unstable();
    shown.dedup();
    shown.into_iter().map(|at| all[at]).collect()
}

#[cfg(test)]
mod tests {
    use loadgen::record::{Shard, WallClock};

    use crate::fixtures::{Story, load_record};
    use crate::run::RunFile;
    use crate::{html, markdown, text};

    use super::*;

    fn shard(index: u64) -> ShardFigures {
        let p99 = |value: f64| Percentiles {
            p50: Some(70.0),
            p99: Some(value),
            ..Percentiles::default()
        };
        ShardFigures {
            shard: Shard {
                index,
                count: 1_000,
                host: format!("node-{}<b>", index % 250),
                late_ns: if index == 7 { 3_200_000 } else { 0 },
                clock: WallClock {
                    synchronised: index != 500,
                    max_error_us: (index != 500).then_some(1_500),
                    estimated_error_us: None,
                },
                ..Shard::default()
            },
            sent: 3_600,
            response_us: p99(100.0 + index as f64),
            send_lag_us: p99(if index == 42 { 90.0 } else { 5.0 }),
            ..ShardFigures::default()
        }
    }

    fn run(shards: u64) -> RunFile {
        let mut record = load_record(100, 90);
        record.shards = (0..shards).map(shard).collect();
        let story = Story::new(Vec::new()).block("builtin").load(record);
        RunFile::from_events(&story.end().0)
    }

    #[test]
    fn few_shards_are_all_shown() {
        let report = text::render(&run(4), None);
        for part in [
            "SHARDS  4 shards on 4 machines; p99 100 µs to 103 µs; send lag p99 5.0 µs; all ready in time",
            "shard  host       requests      p50     p99  send lag p99  ready late  clock",
            "    3  node-3<b>     3,600  70.0 µs  103 µs        5.0 µs     in time  ± 1.50 ms",
        ] {
            assert!(report.contains(part), "{part:?} is not in\n{report}");
        }
    }

    #[test]
    fn of_many_only_the_extremes_are_but_a_page_has_all() {
        let run = run(1_000);
        let report = text::render(&run, None);
        let summary = "1,000 shards on 250 machines; p99 100 µs to 1.10 ms; send lag p99 5.0 µs \
                       to 90.0 µs; the latest ready 3.20 ms after the start; 1 with a clock that \
                       nobody sets";
        assert!(report.contains(summary), "{report}");
        let scenario = &run.scenarios[0];
        let all = all(scenario);
        let shown: Vec<u64> = telling(&all).iter().map(|one| one.shard.index).collect();
        assert_eq!(shown, [0, 1, 7, 42, 997, 998, 999]);
        let markdown = markdown::render(&run);
        assert_eq!(markdown.matches("| in time | ± ").count(), 6, "{markdown}");
        let page = html::render(&run, None);
        assert_eq!(page.matches("<td class=\"n\">3,600</td>").count(), 1_000);
        assert!(page.contains("node-249&lt;b&gt;") && !page.contains("node-249<b>"));
    }

    #[test]
    fn whole_loads_have_no_shards() {
        let run = run(0);
        assert!(!text::render(&run, None).contains("SHARDS"));
        assert!(!html::render(&run, None).contains("shard"));
    }
}
