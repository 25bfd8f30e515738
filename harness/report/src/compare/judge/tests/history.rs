//! Beside an earlier run.

use super::super::*;
use super::made_up::*;
use crate::compare::design::{Arm, History};
use crate::fixtures::SENT;

fn beside_history(anchor_now: Show, candidate: Show) -> RunFile {
    let figures = |arm, show| -> Vec<BlockFigures> {
        (21..=30)
            .map(|round| blocks::figures(&block(round, arm, show)))
            .collect()
    };
    let earlier = HistoryScenario {
        name: "latency".to_owned(),
        blocks: figures(Arm::Baseline, PLAIN),
        anchors: figures(Arm::Anchor, PLAIN),
        conduct: Conduct {
            blocks: 10,
            sent: 10 * SENT,
            ..Conduct::default()
        },
    };
    let now = (1..=10).flat_map(|round| {
        [
            block(round, Arm::Anchor, anchor_now),
            block(round, Arm::Candidate, candidate),
        ]
    });
    let mut design = design(Kind::History);
    design.history = Some(History {
        scenarios: vec![earlier],
        ..History::default()
    });
    run(design, vec![scenario("latency", now.collect())])
}

#[test]
fn history_is_judged_apart_and_says_so() {
    let slow = Show {
        p50: 120.0,
        ..PLAIN
    };
    let run = beside_history(PLAIN, slow);
    let comparison = &run.comparisons[0];
    assert_eq!((comparison.word, run.exit_code), (Word::Slower, 1));
    assert!(comparison.notes[0].contains("nothing was interleaved"));
    assert_eq!(comparison.notes.len(), 1, "{:?}", comparison.notes);
    let metric = &comparison.scenarios[0].metrics[0];
    assert!(metric.differences.is_empty() && metric.low.unwrap() > 1.1);
    assert_eq!(comparison.scenarios[0].baseline.blocks, 10);
    let same = beside_history(PLAIN, PLAIN);
    assert_eq!(same.exit_code, 0, "{:#?}", same.comparisons);
}

#[test]
fn history_on_a_machine_that_changed_is_unstable() {
    let slow = Show {
        p50: 120.0,
        ..PLAIN
    };
    let run = beside_history(slow, slow);
    let comparison = &run.comparisons[0];
    assert_eq!(word_of(comparison, Metric::P50), Word::Unstable);
    assert_eq!((comparison.word, run.exit_code), (Word::Unstable, 3));
    assert!(
        comparison
            .why
            .contains("going direct has itself changed by +"),
        "{}",
        comparison.why
    );
    // The load client's own cost is what shows a change of the processor.
    let costly = Show { cpu: 6.0, ..PLAIN };
    let run = beside_history(costly, costly);
    assert_eq!(
        word_of(&run.comparisons[0], Metric::CpuPerMsg),
        Word::Unstable
    );
}

#[test]
fn another_machine_is_noted() {
    let mut run = beside_history(PLAIN, PLAIN);
    run.header.host.cores = 8;
    run.conclude();
    let notes = &run.comparisons[0].notes;
    assert!(notes[1].contains("cores 0 then, 8 now"), "{notes:?}");
}

#[test]
fn history_without_the_scenario_is_invalid() {
    let mut run = beside_history(PLAIN, PLAIN);
    run.scenarios[0].header.name = "other".to_owned();
    run.conclude();
    assert_eq!(run.comparisons[0].word, Word::Invalid);
}

#[test]
fn comparisons_are_computed_again_from_a_run_file() {
    let run = beside_history(
        PLAIN,
        Show {
            p50: 120.0,
            ..PLAIN
        },
    );
    let written = serde_json::to_string(&run).unwrap();
    let mut back: RunFile = serde_json::from_str(&written).unwrap();
    back.comparisons.clear();
    back.conclude();
    // Numbers may come back with another last digit.
    let said = |run: &RunFile| -> Vec<(Word, String)> {
        let metrics = run.comparisons[0].scenarios[0].metrics.iter();
        let rows = metrics.map(|metric| (metric.word, crate::text::compare::row(metric).concat()));
        rows.collect()
    };
    assert_eq!(said(&back), said(&run));
    assert_eq!(back.comparisons[0].why, run.comparisons[0].why);
}
