//! Comparisons, capacities and tournaments made up for the page, with figures as they come.

use crate::bound::Metric;
use crate::capacity::{Capacity, CapacityPlan, Limit, Point};
use crate::compare::design::{Conduct, Design, Kind};
use crate::compare::{Comparison, MetricComparison, ScenarioComparison, Word};
use crate::event::Role;
use crate::figures::{decode, encode};
use crate::fixtures::{SENT, Story, load_record, searched};
use crate::run::RunFile;

/// Numbers between -1 and 1 that look random and are always the same.
fn wobble(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    })
}

fn metric(metric: Metric, baseline: f64, change: f64, spread: f64, word: Word) -> MetricComparison {
    let seed = (baseline * 10.0) as u64;
    let pairs = |seed, middle| {
        let values = wobble(seed).take(10);
        values
            .map(|one| middle + one * spread)
            .collect::<Vec<f64>>()
    };
    let margin = if metric == Metric::P99 { 0.10 } else { 0.05 };
    MetricComparison {
        metric,
        is_judged: metric != Metric::P99_9,
        baseline,
        candidate: baseline * f64::exp(change),
        differences: pairs(seed, change),
        noise: pairs(seed + 7, 0.0),
        ratio: change.exp(),
        low: Some((change - spread * 0.45).exp()),
        high: Some((change + spread * 0.45).exp()),
        p: 0.002,
        level: 0.01,
        margin,
        detectable: Some(spread * 0.9),
        word,
    }
}

fn scenario(name: &str, word: Word, shift: f64) -> ScenarioComparison {
    let conduct = Conduct {
        blocks: 10,
        sent: 300_000,
        ..Conduct::default()
    };
    ScenarioComparison {
        scenario: name.to_owned(),
        word,
        why: "p50 is 9.4 % more, at least 6.9 % of it for sure: beyond the margin of 5 %"
            .to_owned(),
        pairs: 10,
        left_out: vec![
            "pair 4: the candidate’s block is invalid: send lag p99 of 512 µs".to_owned(),
        ],
        baseline: conduct.clone(),
        candidate: Conduct {
            invalid_blocks: 1,
            wrong: [("lost".to_owned(), 3)].into(),
            failed: 12,
            ..conduct
        },
        metrics: vec![
            metric(Metric::P50, 54.2, 0.09 + shift, 0.05, word),
            metric(Metric::P99, 212.0, 0.02 + shift, 0.16, Word::Inconclusive),
            metric(Metric::Rate, 15_000.0, 0.0002, 0.0006, Word::Equivalent),
            metric(Metric::CpuPerMsg, 24.1, -0.12 + shift, 0.03, Word::Faster),
            metric(
                Metric::PeakMemory,
                14_680_064.0,
                0.018,
                0.008,
                Word::ChangedWithinMargin,
            ),
            metric(Metric::P99_9, 1_820.0, 0.11, 0.34, Word::Inconclusive),
        ],
    }
}

/// Each of these beside the baseline, in two scenarios.
pub(super) fn comparisons(candidates: &[&str]) -> Vec<Comparison> {
    let one = |(at, candidate): (usize, &&str)| {
        let shift = at as f64 * 0.15;
        Comparison {
            baseline: "git:v0.1.0".to_owned(),
            candidate: (*candidate).to_owned(),
            word: Word::Slower,
            why: "slower in latency: p50".to_owned(),
            notes: vec!["the candidate was built with other features".to_owned()],
            scenarios: vec![
                scenario("latency", Word::Slower, shift),
                scenario("churn", Word::Inconclusive, -shift),
            ],
        }
    };
    candidates.iter().enumerate().map(one).collect()
}

/// A subject that carries about this rate.
pub(super) fn capacity(subject: &str, rate: f64) -> Capacity {
    let mut points = Vec::new();
    let mut add = |round, offered: f64, noise: f64| {
        let load = (offered / (rate * 1.08)).min(0.995);
        let p50 = 40.0 * (1.0 + 0.6 * load / (1.0 - load)) * (1.0 + 0.05 * noise);
        let p99 = 110.0 * (1.0 + 0.9 * load / (1.0 - load)) * (1.0 + 0.2 * noise);
        points.push(Point {
            round,
            offered,
            achieved: offered * 0.999,
            p50_us: Some(p50),
            p99_us: Some(p99),
            value: Some(p99),
            holds: p99 < 2_000.0,
            invalid: None,
        });
    };
    for (at, noise) in (0..7).zip(wobble(3)) {
        add(1, 5_000.0 * 1.5_f64.powi(at), noise);
    }
    for (at, noise) in (0..15).zip(wobble(5)) {
        add(2 + at / 5, rate * (0.88 + 0.05 * f64::from(at % 5)), noise);
    }
    let is_huge = rate > 50_000.0;
    Capacity {
        subject: subject.to_owned(),
        rate: Some(rate),
        low: Some(rate * 0.96),
        high: Some(rate * 1.03),
        rounds: vec![rate * 0.96, rate, rate * 1.03],
        limited_by: if is_huge {
            Limit::LoadClient
        } else {
            Limit::Bound
        },
        why: "p99 was 1.91 ms at this rate and 2.31 ms at the next".to_owned(),
        points,
    }
}

/// A run that searched for the highest rate of two subjects with this bound.
pub(super) fn capacity_run(bound: &str) -> RunFile {
    let plan = CapacityPlan {
        bound: bound.parse().unwrap(),
        first_rate: 5_000.0,
        resolution: 0.05,
        rounds: 3,
        most: 1e6,
    };
    searched(&plan, |subject, rate| {
        let is_direct = subject == "direct";
        let capacity = if is_direct { 62_000.0 } else { 38_000.0 };
        let load = (rate / (capacity * 1.08)).min(0.995);
        let growth = load / (1.0 - load);
        let wobbling = wobble(rate as u64).next()?;
        let p99_us = 110.0 * (1.0 + 0.9 * growth) * (1.0 + 0.2 * wobbling);
        let mut record = load_record(100, (40.0 * (1.0 + 0.6 * growth)) as u64);
        let mut histogram = decode(&record.histograms["response"])?;
        let nanos = p99_us * 1e3 * if load > 0.99 { 30.0 } else { 1.0 };
        histogram.record_n(nanos as u64, SENT / 50).unwrap();
        record
            .histograms
            .insert("response".to_owned(), encode(&histogram));
        record.target_rate = Some(rate);
        record.achieved_rate = rate;
        // Going direct, the client is what gives in.
        record.valid = !is_direct || load < 0.9;
        record.client.busiest_worker = load;
        Some(record)
    })
}

/// A tournament of three proxies, with a suite in which one lets its upstream die.
pub(super) fn tournament() -> RunFile {
    let mut story = Story::new(Vec::new());
    for (subject, micros) in [
        ("builtin", 90),
        ("haproxy", 110),
        ("nginx", 130),
        ("direct", 70),
    ] {
        story = story.block(subject).load(load_record(100, micros));
    }
    story = story
        .scenario(Vec::new())
        .block("builtin")
        .garbage(1 << 20)
        .block("haproxy")
        .garbage(1 << 20)
        .exit(Role::Upstream, "SIGSEGV", false);
    let mut run = RunFile::from_events(&story.end().0);
    run.header.design = Some(Design {
        kind: Kind::Tournament,
        baseline: "builtin".to_owned(),
        candidates: vec!["haproxy".to_owned(), "nginx".to_owned()],
        pairs: 10,
        spare_pairs: 0,
        history: None,
    });
    run.scenarios[0].header.name = "latency".to_owned();
    run.scenarios[1].header.name = "crash".to_owned();
    run.comparisons = comparisons(&["haproxy", "nginx"]);
    run
}
