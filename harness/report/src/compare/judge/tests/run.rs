//! Whole runs: pairs that are missing, families, exit codes, renderings.

use super::super::*;
use super::made_up::*;
use crate::compare::Gravity;
use crate::compare::design::Arm;
use crate::run::Interruption;

#[test]
fn too_few_valid_pairs_are_invalid() {
    let mut blocks = both(
        10,
        PLAIN,
        Show {
            p50: 200.0,
            ..PLAIN
        },
    );
    change(&mut blocks, Arm::Candidate, |block| {
        if block.round > 7 {
            let record = block.loads[0].record.as_mut().unwrap();
            record.valid = false;
            record.invalid_reasons = vec!["send lag".to_owned()];
        }
    });
    let (comparison, exit) = judged(blocks);
    assert_eq!((comparison.word, exit), (Word::Invalid, 3));
    let compared = &comparison.scenarios[0];
    assert_eq!((compared.pairs, compared.left_out.len()), (7, 3));
    assert!(compared.left_out[0].contains("pair 8: block of the candidate: invalid: send lag"));
    assert!(
        compared
            .metrics
            .iter()
            .all(|metric| metric.word == Word::Invalid)
    );
    assert_eq!(compared.candidate.invalid_blocks, 3);
    assert!(
        comparison.why.contains("7 valid pairs, and 8 are needed"),
        "{}",
        comparison.why
    );
}

#[test]
fn a_side_is_the_mean_of_its_blocks_and_a_pair_is_whole_or_left_out() {
    let slow = Show {
        p50: 400.0,
        ..PLAIN
    };
    // ABBA: what the candidate shows in its two blocks is 100 and 400, in the mean 200.
    let mut blocks: Vec<Block> = (1..=10)
        .flat_map(|round| {
            [
                block(round, Arm::Baseline, PLAIN),
                block(round, Arm::Candidate, PLAIN),
                block(round, Arm::Candidate, slow),
                block(round, Arm::Baseline, PLAIN),
            ]
        })
        .collect();
    let compared = |blocks: Vec<Block>| judged(blocks).0.scenarios.remove(0);
    let seen = compared(blocks.clone());
    let ratio = seen.metrics[0].ratio;
    assert!((ratio - 2.0).abs() < 0.1 && seen.pairs == 10, "{ratio}");
    // Its bad blocks cannot be hidden by being invalid.
    for block in blocks.iter_mut().skip(2).step_by(4) {
        block.loads[0].record.as_mut().unwrap().valid = false;
    }
    assert_eq!(compared(blocks).pairs, 0);
}

#[test]
fn spare_pairs_take_the_place_of_invalid_ones_and_no_more() {
    let mut blocks = both(12, PLAIN, PLAIN);
    blocks[0].problem = Some("no port".to_owned());
    let (comparison, _) = judged(blocks);
    let compared = &comparison.scenarios[0];
    assert_eq!(compared.pairs, 10);
    assert_eq!(compared.left_out.len(), 2, "{:?}", compared.left_out);
    assert!(compared.left_out[1].contains("pair 12: not needed"));
}

#[test]
fn many_tests_need_more_pairs() {
    assert_eq!(
        [1, 5, 6, 7, 12, 13, 25, 26].map(pairs_needed),
        [8, 8, 8, 9, 9, 10, 10, 11]
    );
    assert_eq!(pairs_needed(0), 8);
    let scenarios = |count: usize| {
        let all = (0..count).map(|nth| scenario(&format!("s{nth}"), both(10, PLAIN, PLAIN)));
        run(design(Kind::Pairs), all.collect())
    };
    assert_ne!(scenarios(5).comparisons[0].word, Word::Invalid);
    let hopeless = scenarios(6);
    let comparison = &hopeless.comparisons[0];
    assert_eq!((comparison.word, hopeless.exit_code), (Word::Invalid, 3));
    assert!(
        comparison.why.contains("30 tests with 10 pairs"),
        "{}",
        comparison.why
    );
    assert!(
        comparison.why.contains("11 pairs are needed"),
        "{}",
        comparison.why
    );
}

#[test]
fn a_tournament_pairs_rounds_and_judges_nobody() {
    let subjects = [("old", 100.0), ("new", 120.0), ("third", 80.0)];
    let blocks = (1..=10).flat_map(|round| {
        subjects
            .iter()
            .zip([Arm::Baseline, Arm::Candidate, Arm::NoiseFirst])
            .map(move |((subject, p50), arm)| Block {
                subject: (*subject).to_owned(),
                arm: None,
                ..block(round, arm, Show { p50: *p50, ..PLAIN })
            })
    });
    let mut design = design(Kind::Tournament);
    design.candidates.push("third".to_owned());
    let run = run(design, vec![scenario("latency", blocks.collect())]);
    let words: Vec<Word> = run
        .comparisons
        .iter()
        .map(|comparison| comparison.word)
        .collect();
    assert_eq!(words, [Word::Slower, Word::Faster]);
    assert_eq!(run.exit_code, 0);
}

#[test]
fn what_was_interrupted_says_what_was_known() {
    let cut = |pairs| {
        let mut scenario = scenario("latency", both(pairs, PLAIN, PLAIN));
        scenario.complete = false;
        let mut run = run(design(Kind::Pairs), vec![scenario]);
        run.interrupted = Some(Interruption {
            signal: "SIGINT".to_owned(),
            exit_code: 130,
        });
        run.conclude();
        (run.comparisons.remove(0), run.exit_code)
    };
    let (comparison, exit) = cut(9);
    assert_eq!((comparison.word.gravity(), exit), (Gravity::Fine, 130));
    assert!(
        comparison
            .notes
            .iter()
            .any(|note| note.contains("cut short after 9 of 10"))
    );
    let (comparison, exit) = cut(4);
    assert_eq!((comparison.word, exit), (Word::Invalid, 130));
    let nothing = run(design(Kind::Pairs), Vec::new());
    assert_eq!(nothing.comparisons[0].word, Word::Invalid);
}

#[test]
fn a_family_hides_no_word_from_the_exit_code() {
    let slow = scenario(
        "slow",
        both(
            10,
            PLAIN,
            Show {
                p50: 150.0,
                ..PLAIN
            },
        ),
    );
    let short = scenario("short", both(3, PLAIN, PLAIN));
    let mut run = run(design(Kind::Pairs), vec![short, slow]);
    assert_eq!((run.comparisons[0].word, run.exit_code), (Word::Invalid, 1));
    run.scenarios.remove(1);
    run.conclude();
    assert_eq!(run.exit_code, 3);
    run.header.lenient = true;
    run.conclude();
    assert_eq!(run.exit_code, 0);
}

#[test]
fn every_form_shows_it() {
    let run = run(
        design(Kind::Pairs),
        vec![scenario(
            "latency",
            both(
                10,
                PLAIN,
                Show {
                    p50: 120.0,
                    ..PLAIN
                },
            ),
        )],
    );
    let text = crate::text::render(&run, None);
    for part in [
        "new beside old: SLOWER — p50 +20",
        "latency: slower (10 pairs)",
        "for information",
        "a regression (exit 1)",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let markdown = crate::markdown::render(&run);
    assert!(
        markdown.contains("### new beside old: SLOWER"),
        "{markdown}"
    );
    assert!(markdown.contains("| ❌ | latency | p50 | "), "{markdown}");
    let junit = crate::junit::render(&run);
    assert_eq!(junit.matches("<testcase ").count(), 6, "{junit}");
    assert_eq!(junit.matches("<failure ").count(), 2, "{junit}");
}
