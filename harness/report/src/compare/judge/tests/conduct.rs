//! Deaths and wrong answers, whatever the figures say.

use super::super::*;
use super::made_up::*;
use crate::compare::Gravity;
use crate::compare::design::Arm;

#[test]
fn a_candidate_that_dies_has_crashed() {
    let mut blocks = both(10, PLAIN, PLAIN);
    dies(&mut blocks[1].proxy);
    let (comparison, exit) = judged(blocks.clone());
    assert_eq!((comparison.word, exit), (Word::Crashed, 4));
    assert!(
        comparison.why.contains("round 1: died (SIGSEGV)"),
        "{}",
        comparison.why
    );
    // One pair is enough for that.
    assert_eq!(judged(blocks[..2].to_vec()).1, 4);

    let mut upstream = both(10, PLAIN, PLAIN);
    dies(&mut upstream[3].upstream);
    assert_eq!(judged(upstream).0.word, Word::Crashed);

    let mut same = blocks.clone();
    dies(&mut same[2].proxy);
    let (comparison, exit) = judged(same);
    assert_eq!(exit, 0, "{comparison:?}");
    assert!(
        comparison.notes[0].contains("went down on both sides"),
        "{:?}",
        comparison.notes
    );
    assert_eq!(comparison.scenarios[0].pairs, 8);

    // If both die, the one that dies more often is worse.
    let mut more = blocks.clone();
    dies(&mut more[2].proxy);
    dies(&mut more[5].proxy);
    assert_eq!(judged(more).1, 4);

    let mut before = both(10, PLAIN, PLAIN);
    dies(&mut before[0].proxy);
    let (comparison, exit) = judged(before);
    assert_eq!((comparison.word.gravity(), exit), (Gravity::Fine, 0));
    assert!(
        comparison.notes[0].contains("none of the candidate"),
        "{:?}",
        comparison.notes
    );
}

#[test]
fn losing_messages_is_worse_than_being_slow() {
    let fast = Show { p50: 50.0, ..PLAIN };
    let mut blocks = both(10, PLAIN, fast);
    counts(&mut blocks[1]).failed.insert("lost".to_owned(), 1);
    let (comparison, exit) = judged(blocks.clone());
    assert_eq!((comparison.word, exit), (Word::WorseIntegrity, 1));
    assert!(
        comparison.why.contains("lost: 1 of 200,000"),
        "{}",
        comparison.why
    );
    // A different kind does not excuse it, and the same kind as often does, but not if the
    // baseline's are fewer.
    counts(&mut blocks[0])
        .failed
        .insert("corrupted".to_owned(), 1);
    assert_eq!(judged(blocks.clone()).0.word, Word::WorseIntegrity);
    counts(&mut blocks[0]).failed.insert("lost".to_owned(), 1);
    let mut fewer = blocks.clone();
    counts(&mut fewer[3]).failed.insert("lost".to_owned(), 7);
    assert_eq!(judged(fewer).0.word, Word::WorseIntegrity);
    assert_eq!(judged(blocks).0.word, Word::Faster);
}

#[test]
fn failures_count_if_they_are_more() {
    let with = |before: fn(u32) -> u64, after: fn(u32) -> u64| {
        let mut blocks = both(10, PLAIN, PLAIN);
        change(&mut blocks, Arm::Baseline, |block| {
            let round = block.round;
            counts(block).unanswered = before(round);
        });
        change(&mut blocks, Arm::Candidate, |block| {
            let round = block.round;
            counts(block)
                .failed
                .insert("reset".to_owned(), after(round));
        });
        judged(blocks).0
    };
    assert_eq!(
        with(|_| 0, |round| u64::from(round == 3)).word,
        Word::WorseIntegrity
    );
    let as_many = with(
        |round| u64::from(round % 4),
        |round| u64::from((round + 2) % 4),
    );
    assert_eq!(as_many.word.gravity(), Gravity::Fine, "{}", as_many.why);
    let more = with(|_| 10, |round| 30 + u64::from(round));
    assert_eq!(more.word, Word::WorseIntegrity);
    assert!(more.why.contains("355 failed requests"), "{}", more.why);
}

#[test]
fn where_harm_is_done_only_conduct_is_compared() {
    let harmed = || {
        let mut scenario = scenario(
            "crash",
            both(
                2,
                PLAIN,
                Show {
                    p50: 900.0,
                    ..PLAIN
                },
            ),
        );
        scenario.header.config = serde_json::json!({"upstream": [{"defects": ["hang"]}]});
        scenario
    };
    let run_of = |scenario| run(design(Kind::Pairs), vec![scenario]);
    let equal = run_of(harmed());
    assert_eq!(
        (equal.comparisons[0].word, equal.exit_code),
        (Word::Equivalent, 0)
    );
    assert!(equal.comparisons[0].scenarios[0].metrics.is_empty());
    let mut died = harmed();
    dies(&mut died.blocks[1].upstream);
    assert_eq!(run_of(died).exit_code, 4);
    let mut cut = harmed();
    cut.complete = false;
    assert_eq!(run_of(cut).comparisons[0].word, Word::Invalid);
}
