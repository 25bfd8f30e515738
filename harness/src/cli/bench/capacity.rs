//! `harness bench --find-capacity`: what it takes, and what it will do.

use std::time::Duration;

use clap::Args;
use report::bound::{Bound, Metric, Op, Unit};
use report::capacity::{self, CapacityPlan};
use report::figures::DIRECT;
use service::units::{Rate, format_duration};

use crate::descriptor::Descriptor;
use crate::plan::Planned;
use crate::schedule::search::Search;

/// Rates beyond this are not tried unless the command line says so: no load client on one
/// machine comes near it.
const MOST: f64 = 1e7;

/// Answers below which there is no 99.9th percentile.
const P99_9_ANSWERS: f64 = 10_000.0;

/// Time that a block takes beside its traffic: processes start, are probed, and end.
const AROUND: Duration = Duration::from_millis(300);

/// What is searched for.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Search the highest rate at which this holds, e.g. 'p99 < 2ms': p50, p90, p99, p99.9,
    /// max, cpu_per_msg, peak_memory or missing with < or <=
    #[arg(long = "find-capacity", value_name = "BOUND", value_parser = bound, conflicts_with_all = ["closed", "expectations"])]
    pub(super) bound: Option<Bound>,

    /// Close in on the highest rate to within this many percent [default: 5]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=50))]
    resolution: Option<u32>,

    /// Try no rate beyond this [default: 10M/s]
    #[arg(long, value_name = "RATE")]
    up_to: Option<Rate>,
}

/// Percent to within which the highest rate is closed in on, if nothing else is asked for.
const RESOLUTION: u32 = 5;

impl Options {
    /// The flag that only a search has and that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let flags = [
            ("resolution", self.resolution.is_some()),
            ("up-to", self.up_to.is_some()),
        ];
        flags
            .into_iter()
            .find_map(|(flag, is_there)| is_there.then_some(flag))
    }

    /// The order of the blocks, or what is wrong with what was asked for.
    pub(super) fn schedule(
        &self,
        bound: &Bound,
        first: Rate,
        rounds: u32,
        planned: &Planned,
    ) -> Result<Search, String> {
        let most = self.up_to.map_or(MOST, Rate::per_second);
        if first.per_second() > most {
            let most = self
                .up_to
                .map_or_else(|| "10M/s".to_owned(), |rate| rate.to_string());
            return Err(format!(
                "--rate {first}: expected at most --up-to, which is {most}"
            ));
        }
        let answers = first.per_second() * traffic(planned).0.as_secs_f64();
        // A rate that is achieved by 99 % is achieved.
        if bound.metric == Metric::P99_9 && answers * 0.99 < P99_9_ANSWERS {
            return Err(format!(
                "--find-capacity {:?} needs more than 10,000 answers in each block, which --rate \
                 {first} for --duration {} does not give",
                bound.to_string(),
                format_duration(traffic(planned).0)
            ));
        }
        let names_direct = planned.subjects.contains(&Descriptor::Direct);
        if names_direct && !speaks_of_direct(bound) {
            let word = bound.metric.word();
            return Err(format!(
                "--find-capacity {:?}: {DIRECT} has no proxy whose {word} could be measured",
                bound.to_string()
            ));
        }
        // Going direct comes first: it shows what the others can reach at all.
        let mut subjects = planned.subjects.clone();
        subjects.sort_by_key(|subject| *subject != Descriptor::Direct);
        let plan = CapacityPlan {
            bound: bound.clone(),
            first_rate: first.per_second(),
            resolution: f64::from(self.resolution.unwrap_or(RESOLUTION)) / 100.0,
            rounds,
            most,
        };
        Ok(Search {
            plan,
            subjects,
            seed: planned.seed,
        })
    }
}

/// Measuring, warm-up, and measuring the tool's floor, unless the command line says
/// otherwise. The floor would take longer than it tells: going direct is searched too.
pub(super) fn times(bound: &Bound) -> (Duration, Duration, Duration) {
    let seconds = if bound.metric == Metric::P99_9 { 4 } else { 2 };
    let warmup = Duration::from_millis(500);
    (Duration::from_secs(seconds), warmup, Duration::ZERO)
}

/// Whether the bound means anything without a proxy.
pub(super) fn speaks_of_direct(bound: &Bound) -> bool {
    bound.metric.quantile().is_some() || bound.metric == Metric::Missing
}

/// How long it will take, and how long at most.
pub(super) fn forecast(search: &Search, planned: &Planned) -> String {
    let (duration, warmup) = traffic(planned);
    let block = duration + warmup + AROUND;
    let time = |blocks: usize| {
        let seconds = block.as_secs_f64() * blocks as f64;
        format_duration(Duration::from_secs(seconds.round() as u64))
    };
    let subjects = search.subjects.len();
    let plural = if subjects == 1 { "" } else { "s" };
    format!(
        "searching the highest rate with {} for {subjects} subject{plural}: about {} blocks, {}; at most {} blocks, {}",
        search.plan.bound,
        search.expected(),
        time(search.expected()),
        search.most(),
        time(search.most())
    )
}

/// Measuring and warm-up of a block.
fn traffic(planned: &Planned) -> (Duration, Duration) {
    let load = planned.scenario.load.first();
    load.map_or_else(Default::default, |load| (load.duration, load.warmup))
}

fn bound(text: &str) -> Result<Bound, String> {
    let bound: Bound = text
        .parse()
        .map_err(|error: report::expect::ExpectError| error.to_string())?;
    if !capacity::METRICS.contains(&bound.metric) {
        let accepted = capacity::METRICS.map(Metric::word).join(", ");
        return Err(format!(
            "{} bounds no rate; accepted: {accepted}",
            bound.metric.word()
        ));
    }
    if !matches!(bound.op, Op::Less | Op::AtMost) {
        return Err(format!("expected < or <=, got {}", bound.op.sign()));
    }
    // Nothing takes no time, but of what is counted there may be none.
    let is_count = bound.metric.unit() == Unit::Count && bound.op == Op::AtMost;
    if bound.value <= 0.0 && !is_count {
        return Err(format!("expected more than 0, got {}", bound.written));
    }
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_grows_with_load_bounds_it() {
        for good in [
            "p99 < 2ms",
            "p99.9<=10ms",
            "cpu_per_msg < 5us",
            "max < 1s",
            "peak_memory < 64MiB",
            "missing <= 0",
        ] {
            assert_eq!(bound(good).unwrap(), good.parse().unwrap());
        }
        let cases = [
            ("p99 > 2ms", "expected < or <=, got >"),
            (
                "rate < 5k/s",
                "rate bounds no rate; accepted: p50, p90, p99, p99.9, max",
            ),
            ("failed = 0", "accepted: p50"),
            ("p99 < 0ms", "more than 0"),
            ("p99", "METRIC OP VALUE"),
            ("p98 < 2ms", "accepted: p50"),
        ];
        for (text, says) in cases {
            let error = bound(text).unwrap_err();
            assert!(
                error.contains(says) && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }
}
