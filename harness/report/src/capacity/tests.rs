//! From events to what was found: how a block is judged, and what is said about it.

use loadgen::record::LoadRecord;

use super::{CapacityPlan, Limit};
use crate::fixtures::{load_record, searched};
use crate::run::RunFile;
use crate::verdict::Outcome;

fn plan() -> CapacityPlan {
    CapacityPlan {
        bound: "p99 < 2ms".parse().unwrap(),
        first_rate: 5_000.0,
        resolution: 0.05,
        rounds: 1,
        most: 1e7,
    }
}

/// A record of this rate, all of it answered within so many microseconds.
fn record(rate: f64, micros: u64) -> LoadRecord {
    let mut record = load_record(100, micros);
    record.target_rate = Some(rate);
    record.achieved_rate = rate;
    record
}

/// One that holds up to this rate.
fn up_to(capacity: f64, rate: f64) -> LoadRecord {
    record(rate, if rate <= capacity { 300 } else { 2_500 })
}

/// What a block of the proxy at 10k/s does that is spoiled so.
fn found_if_10k(spoil: impl Fn(&mut LoadRecord)) -> super::Capacity {
    let run = searched(&plan(), |_, rate| {
        let mut record = record(rate, 300);
        if rate >= 10_000.0 {
            spoil(&mut record);
        }
        Some(record)
    });
    run.scenarios[0].capacity[0].clone()
}

#[test]
fn what_was_found_is_said_judged_and_drawn() {
    let run = searched(&plan(), |subject, rate| {
        let capacity = if subject == "direct" {
            90_000.0
        } else {
            41_200.0
        };
        Some(up_to(capacity, rate))
    });
    let scenario = &run.scenarios[0];
    let [ours, direct] = &scenario.capacity[..] else {
        panic!("{:?}", scenario.capacity);
    };
    assert_eq!(
        (ours.subject.as_str(), direct.subject.as_str()),
        ("builtin", "direct")
    );
    let rate = ours.rate.unwrap();
    assert!((39_000.0..=41_200.0).contains(&rate), "{rate}");
    assert_eq!(ours.limited_by, Limit::Bound);
    assert!(
        ours.why.contains("p99 is 2.50 ms") && !ours.why.contains("direct"),
        "{}",
        ours.why
    );
    let verdict = scenario.verdicts.last().unwrap();
    assert_eq!(verdict.expectation, "a highest rate with p99 < 2ms");
    assert_eq!((verdict.outcome, run.exit_code), (Outcome::Pass, 0));

    let report = crate::text::render(&run, None);
    for part in [
        "CAPACITY",
        "builtin: 4",
        "while p99 < 2ms",
        "o builtin   x direct",
        "2ms │",
        "held",
    ] {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
    assert!(
        !report.contains("LATENCY"),
        "blocks of different rates have no sum\n{report}"
    );
    assert!(!report.lines().any(|line| line.ends_with(' ')), "{report}");
    let markdown = crate::markdown::render(&run);
    assert!(markdown.contains("| builtin | 4"), "{markdown}");

    let mut again: RunFile = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
    again.scenarios[0].capacity.clear();
    again.conclude();
    assert_eq!(again, run, "a run file can be judged again");
}

#[test]
fn what_takes_as_much_as_going_direct_is_not_known_to_be_the_limit() {
    let run = searched(&plan(), |_, rate| Some(up_to(41_200.0, rate)));
    let why = &run.scenarios[0].capacity[0].why;
    assert!(why.contains("going direct takes no more"), "{why}");
}

#[test]
fn a_bound_alone_is_not_enough() {
    type Spoil = fn(&mut LoadRecord);
    let cases: [(Spoil, &str); 5] = [
        (
            |r| r.counts.failed = [("reset".to_owned(), 3)].into(),
            "3 requests failed",
        ),
        (|r| r.counts.unanswered = 2, "2 requests got no answer"),
        (
            |r| r.counts.never_written = 1,
            "1 requests were never written",
        ),
        (
            |r| r.achieved_rate *= 0.98,
            "no place was free for the others",
        ),
        (
            |r| r.achieved_rate *= 0.5,
            "no place was free for the others",
        ),
    ];
    for (spoil, says) in cases {
        let found = found_if_10k(spoil);
        assert!(found.rate.unwrap() < 10_000.0, "{says}: {found:?}");
        assert_eq!(found.limited_by, Limit::Bound, "{says}");
        assert!(found.why.contains(says), "{says}: {}", found.why);
    }
}

#[test]
fn a_client_that_was_late_proves_a_bound_but_does_not_refute_it() {
    let late = |lag_us: u64, response_us: u64| {
        move |record: &mut LoadRecord| {
            let spoiled = load_record(100, response_us);
            record.latency_us = spoiled.latency_us;
            record.histograms = spoiled.histograms;
            let lag = load_record(100, lag_us);
            let lag = lag.histograms["response"].clone();
            record.histograms.insert("send_lag".into(), lag);
            record.valid = false;
            record.invalid_reasons = vec!["the client itself came late".into()];
        }
    };
    // 1.5 ms with all the lateness in it: it holds, and goes on to the most.
    let all = CapacityPlan {
        most: 20_000.0,
        ..plan()
    };
    let run = searched(&all, |_, rate| {
        let mut record = record(rate, 300);
        late(400, 1_500)(&mut record);
        Some(record)
    });
    let found = &run.scenarios[0].capacity[0];
    assert_eq!(
        (found.rate, found.limited_by),
        (Some(20_000.0), Limit::Most)
    );
    assert!(
        found
            .points
            .iter()
            .all(|point| point.invalid.is_some() && point.holds)
    );
    // 2.5 ms would be 1.9 ms without it: that is the client's.
    let found = found_if_10k(late(600, 2_500));
    assert_eq!(found.limited_by, Limit::LoadClient, "{}", found.why);
    assert!(
        found.why.contains("came late to due requests by"),
        "{}",
        found.why
    );
    // 5 ms would not be enough either.
    assert_eq!(found_if_10k(late(600, 5_000)).limited_by, Limit::Bound);
    // Whoever waits for a free place is in time, and the target is not.
    let waits = |record: &mut LoadRecord| {
        late(10, 1_900)(record);
        record.achieved_rate *= 0.95;
    };
    assert_eq!(found_if_10k(waits).limited_by, Limit::Bound);
    let busy = |record: &mut LoadRecord| {
        late(10, 2_500)(record);
        record.client.busiest_worker = 0.97;
    };
    // Who is too busy to read answers leaves no place for what is due.
    let has_no_place = |record: &mut LoadRecord| {
        busy(record);
        record.counts.never_written = 500;
    };
    for spoil in [&busy as &dyn Fn(&mut LoadRecord), &has_no_place] {
        let found = found_if_10k(spoil);
        assert_eq!(found.limited_by, Limit::LoadClient, "{}", found.why);
        assert!(
            found.why.contains("busy for 97 % of its core"),
            "{}",
            found.why
        );
    }
    // A wrong answer is wrong, however busy the client is.
    let is_wrong = |record: &mut LoadRecord| {
        has_no_place(record);
        record.counts.failed = [("lost".to_owned(), 1)].into();
    };
    assert_eq!(found_if_10k(is_wrong).limited_by, Limit::Bound);
}

#[test]
fn how_a_search_ends_is_how_the_harness_ends() {
    let code = |measure: &dyn Fn(&str, f64) -> Option<LoadRecord>| {
        let run = searched(&plan(), measure);
        (run.exit_code, run.scenarios[0].capacity[0].rate.is_some())
    };
    assert_eq!(code(&|_, rate| Some(up_to(41_200.0, rate))), (0, true));
    assert_eq!(code(&|_, rate| Some(up_to(1.0, rate))), (1, false));
    let busy = |_: &str, rate: f64| {
        let mut record = up_to(41_200.0, rate);
        record.valid = rate <= 41_200.0;
        record.client.busiest_worker = 0.95;
        Some(record)
    };
    assert_eq!(code(&busy), (3, true));
    let dies = |subject: &str, rate: f64| {
        (subject == "direct" || rate < 30_000.0).then(|| up_to(41_200.0, rate))
    };
    assert_eq!(code(&dies), (4, true));
    let idle = |_: &str, rate: f64| {
        let mut record = record(rate, 300);
        record.counts = loadgen::record::Counts::default();
        record.histograms.clear();
        Some(record)
    };
    assert_eq!(code(&idle), (3, false));
}

#[test]
fn rounds_that_are_far_apart_are_not_believed() {
    let blocks = std::cell::Cell::new(0);
    let plan = CapacityPlan {
        rounds: 3,
        ..plan()
    };
    let run = searched(&plan, |subject, rate| {
        if subject == "builtin" {
            blocks.set(blocks.get() + 1);
        }
        // The climb takes 15 blocks; then somebody else needs the machine for a while.
        let capacity = if blocks.get() > 20 { 3_000.0 } else { 41_200.0 };
        Some(up_to(capacity, rate))
    });
    let found = &run.scenarios[0].capacity[0];
    assert!(found.why.contains("UNSTABLE"), "{found:?}");
    assert_eq!(run.exit_code, 3);
}

#[test]
fn rounds_that_find_none_are_told_and_not_believed() {
    let blocks = std::cell::Cell::new(0);
    let run = searched(&plan(), |subject, rate| {
        if subject == "builtin" {
            blocks.set(blocks.get() + 1);
        }
        // The climb takes 14 blocks; then nothing holds any more.
        let capacity = if blocks.get() > 14 { 0.0 } else { 41_200.0 };
        Some(up_to(capacity, rate))
    });
    let found = &run.scenarios[0].capacity[0];
    assert!(found.rate.is_some() && found.rounds.is_empty(), "{found:?}");
    assert!(found.why.contains("1 of 1 rounds found none"), "{found:?}");
    assert_eq!(run.exit_code, 3);
}

#[test]
fn a_search_that_was_cut_short_shows_what_it_has() {
    let whole = searched(&plan(), |_, rate| Some(up_to(41_200.0, rate)));
    let mut run = whole.clone();
    let scenario = &mut run.scenarios[0];
    scenario
        .blocks
        .retain(|block| block.rate.is_some_and(|rate| rate <= 20_000.0));
    scenario.complete = false;
    run.conclude();
    let found = &run.scenarios[0].capacity[0];
    assert_eq!(
        (found.rate, found.limited_by),
        (Some(20_000.0), Limit::Unfinished)
    );
    assert_eq!(run.exit_code, 3);
    assert!(crate::text::render(&run, None).contains("at least 20.0k/s"));
    assert!(whole.scenarios[0].capacity[0].points.len() > found.points.len());
}
