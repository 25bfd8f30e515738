//! Bounds on what made-up load clients measured and counted.

use loadgen::record::Counts;

use super::*;
use crate::event::Role;
use crate::fixtures::{SENT, Story, load, load_record};
use crate::run::RunFile;

fn judged(text: &str, change: impl FnOnce(&mut LoadRecord)) -> Finding {
    let mut record = load_record(100, 70);
    change(&mut record);
    let story = Story::new(vec![load(text)]).block("builtin").load(record);
    let run = RunFile::from_events(&story.end().0);
    let verdict = &run.scenarios[0].verdicts[0];
    (verdict.outcome, verdict.evidence.clone())
}

fn outcome(text: &str, change: impl FnOnce(&mut LoadRecord)) -> Outcome {
    judged(text, change).0
}

#[test]
fn what_was_never_written_is_unanswered() {
    let (outcome, evidence) = judged("unanswered = 0", |record| {
        record.counts.never_written = 1_600;
    });
    assert_eq!(outcome, Outcome::Fail);
    assert!(evidence.contains("1,600"), "{evidence}");
}

#[test]
fn a_percentile_knows_of_those_who_wait_for_ever() {
    let lacks = |unanswered, never_written| {
        move |record: &mut LoadRecord| {
            record.counts.unanswered = unanswered;
            record.counts.never_written = never_written;
        }
    };
    // Of 20,200 requests one in a hundred is 202.
    assert_eq!(outcome("p99 < 2ms", lacks(100, 100)), Outcome::Pass);
    assert_eq!(outcome("p99 < 2ms", lacks(103, 100)), Outcome::Fail);
    assert_eq!(outcome("p50 < 2ms", lacks(103, 100)), Outcome::Pass);
    assert_eq!(outcome("p99 > 10us", lacks(103, 100)), Outcome::Pass);
    assert_eq!(outcome("p99.9 <= 2ms", lacks(30, 0)), Outcome::Fail);
    assert_eq!(outcome("max < 2ms", lacks(0, 0)), Outcome::Pass);
    assert_eq!(outcome("max < 2ms", lacks(0, 1)), Outcome::Fail);
    let (_, evidence) = judged("p99 < 2ms", lacks(103, 100));
    assert!(
        evidence.contains("203 of 20,203") && evidence.contains("103 unanswered"),
        "{evidence}"
    );
    let silent = |record: &mut LoadRecord| {
        record.histograms.clear();
        record.counts.unanswered = SENT;
    };
    assert_eq!(outcome("p50 < 2ms", silent), Outcome::Fail);
}

#[test]
fn connections_that_are_refused_are_failures() {
    let (outcome, evidence) = judged("failed = 0", |record| {
        record.counts.connect_failed.insert("refused".to_owned(), 7);
    });
    assert_eq!(outcome, Outcome::Fail);
    assert!(evidence.contains("refused 7"), "{evidence}");
}

#[test]
fn sending_nothing_shows_nothing() {
    let nothing = |record: &mut LoadRecord| {
        record.counts = Counts::default();
        record.histograms.clear();
        record.mode = "closed".to_owned();
    };
    for text in ["failed = 0", "unanswered = 0", "lost = 0", "failed > 0"] {
        assert_eq!(outcome(text, nothing), Outcome::Inconclusive, "{text}");
    }
    assert_eq!(outcome("valid", nothing), Outcome::Inconclusive);
    assert_eq!(outcome("valid", |_| {}), Outcome::Pass);
    let refused = |record: &mut LoadRecord| {
        nothing(record);
        record.counts.connect_failed.insert("refused".to_owned(), 7);
    };
    assert_eq!(outcome("failed = 0", refused), Outcome::Fail);
}

#[test]
fn one_idle_block_among_others_shows_nothing() {
    let mut idle = load_record(100, 70);
    idle.counts = Counts::default();
    let story = Story::new(vec![load("failed = 0")])
        .block("builtin")
        .load(load_record(100, 70))
        .block("builtin")
        .load(idle);
    let run = RunFile::from_events(&story.end().0);
    assert_eq!(run.scenarios[0].verdicts[0].outcome, Outcome::Inconclusive);
}

#[test]
fn times_of_a_closed_loop_are_labelled() {
    let closed = |record: &mut LoadRecord| record.mode = "closed".to_owned();
    let (outcome, evidence) = judged("p99 < 2ms", closed);
    assert_eq!(outcome, Outcome::Pass);
    assert!(evidence.contains("(closed loop)"), "{evidence}");
    assert!(!judged("p99 < 2ms", |_| {}).1.contains("loop"));
    assert!(!judged("rate > 1/s", closed).1.contains("loop"));
}

#[test]
fn half_a_cpu_time_is_not_judged() {
    let mut story = Story::new(vec![load("cpu_per_msg < 6us")])
        .block("builtin")
        .load(load_record(100, 70))
        .end();
    let is_end = |event: &crate::event::Event| {
        let end = crate::event::Mark::End;
        matches!(event, crate::event::Event::CpuMark { role: Role::Proxy, at, .. } if *at == end)
    };
    story.0.retain(|stamped| !is_end(&stamped.event));
    let run = RunFile::from_events(&story.0);
    assert_eq!(run.scenarios[0].verdicts[0].outcome, Outcome::Inconclusive);
}

#[test]
fn the_error_rate_is_of_all_that_was_due() {
    let spoil = |record: &mut LoadRecord| {
        record.counts.failed.insert("reset".to_owned(), 100);
        record.counts.unanswered = 50;
        record.counts.never_written = 50;
        // 200 of 20,050 requests are 0.998 %.
        record.counts.acked -= 150;
    };
    assert_eq!(outcome("error_rate < 1 %", spoil), Outcome::Pass);
    assert_eq!(outcome("error_rate < 0.99 %", spoil), Outcome::Fail);
    assert_eq!(outcome("failed < 0.51 %", spoil), Outcome::Pass);
    assert_eq!(outcome("failed < 0.5 %", spoil), Outcome::Fail);
    let (_, said) = judged("error_rate < 1 %", spoil);
    assert!(said.contains("1 %: 200 of 20,050 requests"), "{said}");
    let idle = |record: &mut LoadRecord| record.counts = Counts::default();
    assert_eq!(outcome("error_rate < 1 %", idle), Outcome::Inconclusive);
}
