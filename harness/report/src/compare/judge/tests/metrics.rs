//! Figures of pairs, and what is said of them.

use std::collections::BTreeMap;

use super::super::*;
use super::made_up::*;
use crate::compare::Gravity;
use crate::compare::design::{Arm, Noise};

#[test]
fn like_is_equivalent_to_like() {
    let (comparison, exit) = judged(both(10, PLAIN, PLAIN));
    assert!(
        matches!(
            comparison.word,
            Word::Equivalent | Word::ChangedWithinMargin
        ),
        "{comparison:#?}"
    );
    assert_eq!(exit, 0);
    let compared = &comparison.scenarios[0];
    assert_eq!((compared.pairs, compared.metrics.len()), (10, 6));
    let p99_9 = &compared.metrics[2];
    assert!(!p99_9.is_judged && p99_9.level == ALPHA);
    assert!(comparison.notes.is_empty(), "{:?}", comparison.notes);
}

#[test]
fn each_metric_is_worse_in_its_own_direction() {
    let slow = Show {
        p50: 120.0,
        ..PLAIN
    };
    let (comparison, exit) = judged(both(10, PLAIN, slow));
    assert_eq!((comparison.word, exit), (Word::Slower, 1));
    assert_eq!(word_of(&comparison, Metric::P50), Word::Slower);
    assert_eq!(word_of(&comparison, Metric::P99), Word::Slower);
    assert!(comparison.why.contains("p50 +20"), "{}", comparison.why);
    let (comparison, exit) = judged(both(10, slow, PLAIN));
    assert_eq!((comparison.word, exit), (Word::Faster, 0));

    let throttled = Show {
        rate: 15_000.0,
        ..PLAIN
    };
    let (comparison, exit) = judged(both(10, PLAIN, throttled));
    assert_eq!((comparison.word, exit), (Word::Slower, 1));
    assert_eq!(word_of(&comparison, Metric::Rate), Word::Slower);

    let (costly, fat) = (
        Show { cpu: 5.75, ..PLAIN },
        Show {
            memory: 2e7,
            ..PLAIN
        },
    );
    assert_eq!(
        word_of(&judged(both(10, PLAIN, costly)).0, Metric::CpuPerMsg),
        Word::Slower
    );
    assert_eq!(
        word_of(&judged(both(10, PLAIN, fat)).0, Metric::PeakMemory),
        Word::Slower
    );
    let mixed = Show { cpu: 4.0, ..slow };
    assert_eq!(
        judged(both(10, PLAIN, mixed)).0.word,
        Word::Slower,
        "it outweighs faster"
    );
}

#[test]
fn small_changes_are_within_the_margin() {
    let (comparison, exit) = judged(both(
        10,
        PLAIN,
        Show {
            p50: 102.5,
            ..PLAIN
        },
    ));
    assert_eq!(word_of(&comparison, Metric::P50), Word::ChangedWithinMargin);
    assert_eq!(exit, 0);
}

#[test]
fn what_straddles_the_margin_is_inconclusive_and_says_so() {
    let mut blocks = both(10, PLAIN, PLAIN);
    change(&mut blocks, Arm::Candidate, |block| {
        let more = 1.0 + 0.012 * f64::from(block.round);
        let record = block.loads[0].record.as_mut().unwrap();
        record.latency_us.response.p50 = Some(100.0 * more);
    });
    let (comparison, exit) = judged(blocks);
    assert_eq!((comparison.word, exit), (Word::Inconclusive, 3));
    assert!(
        comparison.why.contains("straddles the margin of 5 %"),
        "{}",
        comparison.why
    );
    let metric = &comparison.scenarios[0].metrics[0];
    assert!(metric.p <= metric.level && metric.low.unwrap() > 1.0);
}

#[test]
fn a_baseline_unlike_itself_is_unstable() {
    // Below nothing: always to the same side, as chance would not have it.
    let noise = |share: f64| {
        let pairs = (0..10).map(|nth| {
            let sign = if share < 0.0 || nth % 2 == 0 {
                1.0
            } else {
                -1.0
            };
            BTreeMap::from([(Metric::P50, sign * share * (1.0 + 0.01 * f64::from(nth)))])
        });
        Noise {
            pairs: pairs.collect(),
            ..Noise::default()
        }
    };
    let with_noise = |blocks: Vec<Block>, share: f64| {
        let mut scenario = scenario("latency", blocks);
        scenario.noise = Some(noise(share));
        run(design(Kind::Pairs), vec![scenario])
    };
    let slow = || {
        both(
            10,
            PLAIN,
            Show {
                p50: 112.0,
                ..PLAIN
            },
        )
    };
    let quiet = with_noise(slow(), 0.01);
    assert_eq!(word_of(&quiet.comparisons[0], Metric::P50), Word::Slower);
    let detectable = quiet.comparisons[0].scenarios[0].metrics[0]
        .detectable
        .unwrap();
    assert!(detectable > 0.0 && detectable < 0.03, "{detectable}");
    let by_chance = with_noise(slow(), 0.3);
    assert_eq!(
        word_of(&by_chance.comparisons[0], Metric::P50),
        Word::Slower
    );
    let restless = with_noise(slow(), -0.3);
    let comparison = &restless.comparisons[0];
    assert_eq!(word_of(comparison, Metric::P50), Word::Unstable);
    // It is slower in another metric, which noise says nothing about.
    assert_eq!((comparison.word, restless.exit_code), (Word::Slower, 1));
    let far = with_noise(
        both(
            10,
            PLAIN,
            Show {
                p50: 300.0,
                ..PLAIN
            },
        ),
        0.3,
    );
    assert_eq!(word_of(&far.comparisons[0], Metric::P50), Word::Slower);
}

#[test]
fn noise_is_taken_from_the_run_itself() {
    let mut blocks = both(10, PLAIN, PLAIN);
    for round in 1..=9 {
        blocks.push(block(round, Arm::NoiseFirst, PLAIN));
        blocks.push(block(round, Arm::NoiseSecond, PLAIN));
    }
    let (comparison, _) = judged(blocks);
    let metric = &comparison.scenarios[0].metrics[0];
    assert_eq!(metric.noise.len(), 9);
    assert!(
        metric
            .detectable
            .is_some_and(|detectable| detectable < 0.05)
    );
    assert_eq!(
        comparison.scenarios[0].baseline.blocks, 10,
        "noise is no side"
    );
}

#[test]
fn a_closed_loop_claims_no_latency() {
    let mut blocks = both(
        10,
        PLAIN,
        Show {
            p50: 200.0,
            ..PLAIN
        },
    );
    for block in &mut blocks {
        block.loads[0].record.as_mut().unwrap().mode = "closed".to_owned();
    }
    let (comparison, exit) = judged(blocks);
    assert_eq!((comparison.word.gravity(), exit), (Gravity::Fine, 0));
    let judged = comparison.scenarios[0]
        .metrics
        .iter()
        .filter(|metric| metric.is_judged);
    let judged: Vec<Metric> = judged.map(|metric| metric.metric).collect();
    assert_eq!(
        judged,
        [Metric::Rate, Metric::CpuPerMsg, Metric::PeakMemory]
    );
    assert!(
        comparison.notes[0].contains("closed"),
        "{:?}",
        comparison.notes
    );
}

#[test]
fn going_direct_has_no_costs_to_compare() {
    let mut blocks = both(10, PLAIN, PLAIN);
    change(&mut blocks, Arm::Baseline, |block| block.proxy = None);
    let (comparison, _) = judged(blocks);
    let metrics = &comparison.scenarios[0].metrics;
    assert!(
        metrics
            .iter()
            .all(|metric| metric.metric != Metric::CpuPerMsg)
    );
    assert!(
        comparison.notes[0].ends_with("cpu_per_msg, peak_memory"),
        "{:?}",
        comparison.notes
    );
}
