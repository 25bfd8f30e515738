//! Whole runs made by hand, and what is said of them.

use std::collections::BTreeMap;

use super::*;
use crate::compare::design::{Arm, History, Noise};
use crate::compare::Gravity;
use crate::event::{Exit, Sample, ScenarioHeader, Target};
use crate::evidence::{LoadEvidence, ProcessEvidence, TimedExit, TimedSample};
use crate::fixtures::{SENT, load_record};
use crate::run::Interruption;

/// What a block is to show: response time, CPU time for each request, memory.
#[derive(Clone, Copy)]
struct Show {
    p50: f64,
    cpu: f64,
    memory: f64,
    rate: f64,
}

const PLAIN: Show = Show {
    p50: 100.0,
    cpu: 5.0,
    memory: 1e7,
    rate: 20_000.0,
};

/// A little noise, different for each metric and block, never the same twice.
fn off(round: u32, salt: u64) -> f64 {
    let random = loadgen::mix::mix(u64::from(round), salt);
    1.0 + ((random % 2_001) as f64 - 1_000.0) * 1e-5
}

fn block(round: u32, arm: Arm, show: Show) -> Block {
    let (subject, salt) = match arm {
        Arm::Candidate => ("new", 1),
        Arm::Anchor => (DIRECT, 2),
        Arm::NoiseFirst => ("old", 3),
        Arm::NoiseSecond => ("old", 4),
        Arm::Baseline => ("old", 5),
    };
    let mut record = load_record(100, 70);
    let response = &mut record.latency_us.response;
    response.p50 = Some(show.p50 * off(round, salt));
    response.p99 = Some(3.0 * show.p50 * off(round, salt + 10));
    response.p99_9 = Some(9.0 * show.p50 * off(round, salt + 20));
    record.achieved_rate = show.rate * off(round, salt + 30);
    record.client.cpu_s = show.cpu * 1e-6 * SENT as f64 * off(round, salt + 40);
    let load = LoadEvidence {
        name: "load".to_owned(),
        target: Target::Proxy,
        proxy_cpu_ns: Some((show.cpu * 1e3 * SENT as f64 * off(round, salt + 40)) as u64),
        record: Some(record),
        problem: None,
    };
    let sample = TimedSample {
        mono_ns: 1,
        sample: Sample {
            peak_bytes: (show.memory * off(round, salt + 50)) as u64,
            ..Sample::default()
        },
    };
    let process = ProcessEvidence {
        samples: vec![sample],
        ..ProcessEvidence::default()
    };
    Block {
        round,
        subject: subject.to_owned(),
        arm: Some(arm),
        ended_mono_ns: Some(9),
        upstream: Some(ProcessEvidence::default()),
        proxy: (subject != DIRECT).then_some(process),
        loads: vec![load],
        ..Block::default()
    }
}

fn both(pairs: u32, baseline: Show, candidate: Show) -> Vec<Block> {
    (1..=pairs)
        .flat_map(|round| {
            [
                block(round, Arm::Baseline, baseline),
                block(round, Arm::Candidate, candidate),
            ]
        })
        .collect()
}

fn design(kind: Kind) -> Design {
    Design {
        kind,
        baseline: "old".to_owned(),
        candidates: vec!["new".to_owned()],
        pairs: 10,
        spare_pairs: 3,
        history: None,
    }
}

fn scenario(name: &str, blocks: Vec<Block>) -> ScenarioRun {
    ScenarioRun {
        header: ScenarioHeader {
            name: name.to_owned(),
            compared: true,
            ..ScenarioHeader::default()
        },
        complete: true,
        blocks,
        ..ScenarioRun::default()
    }
}

fn run(design: Design, scenarios: Vec<ScenarioRun>) -> RunFile {
    let mut run = RunFile::default();
    run.header.design = Some(design);
    run.scenarios = scenarios;
    run.conclude();
    run
}

/// One scenario in pairs: the comparison and the exit code.
fn judged(blocks: Vec<Block>) -> (Comparison, u8) {
    let mut run = run(design(Kind::Pairs), vec![scenario("latency", blocks)]);
    (run.comparisons.remove(0), run.exit_code)
}

fn word_of(comparison: &Comparison, metric: Metric) -> Word {
    let metrics = &comparison.scenarios[0].metrics;
    metrics.iter().find(|compared| compared.metric == metric).unwrap().word
}

fn change(blocks: &mut [Block], arm: Arm, mut how: impl FnMut(&mut Block)) {
    for block in blocks.iter_mut().filter(|block| block.arm == Some(arm)) {
        how(block);
    }
}

fn counts(block: &mut Block) -> &mut loadgen::record::Counts {
    &mut block.loads[0].record.as_mut().unwrap().counts
}

fn dies(process: &mut Option<ProcessEvidence>) {
    let exit = Exit {
        signal: Some("SIGSEGV".to_owned()),
        ..Exit::default()
    };
    process.as_mut().unwrap().exit = Some(TimedExit { mono_ns: 5, exit });
}

#[test]
fn like_is_equivalent_to_like() {
    let (comparison, exit) = judged(both(10, PLAIN, PLAIN));
    assert!(
        matches!(comparison.word, Word::Equivalent | Word::ChangedWithinMargin),
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
    let slow = Show { p50: 120.0, ..PLAIN };
    let (comparison, exit) = judged(both(10, PLAIN, slow));
    assert_eq!((comparison.word, exit), (Word::Slower, 1));
    assert_eq!(word_of(&comparison, Metric::P50), Word::Slower);
    assert_eq!(word_of(&comparison, Metric::P99), Word::Slower);
    assert!(comparison.why.contains("p50 +20"), "{}", comparison.why);
    let (comparison, exit) = judged(both(10, slow, PLAIN));
    assert_eq!((comparison.word, exit), (Word::Faster, 0));

    let throttled = Show { rate: 15_000.0, ..PLAIN };
    let (comparison, exit) = judged(both(10, PLAIN, throttled));
    assert_eq!((comparison.word, exit), (Word::Slower, 1));
    assert_eq!(word_of(&comparison, Metric::Rate), Word::Slower);

    let (costly, fat) = (Show { cpu: 5.75, ..PLAIN }, Show { memory: 2e7, ..PLAIN });
    assert_eq!(word_of(&judged(both(10, PLAIN, costly)).0, Metric::CpuPerMsg), Word::Slower);
    assert_eq!(word_of(&judged(both(10, PLAIN, fat)).0, Metric::PeakMemory), Word::Slower);
    let mixed = Show { cpu: 4.0, ..slow };
    assert_eq!(judged(both(10, PLAIN, mixed)).0.word, Word::Slower, "it outweighs faster");
}

#[test]
fn small_changes_are_within_the_margin() {
    let (comparison, exit) = judged(both(10, PLAIN, Show { p50: 102.5, ..PLAIN }));
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
    assert!(comparison.why.contains("straddles the margin of 5 %"), "{}", comparison.why);
    let metric = &comparison.scenarios[0].metrics[0];
    assert!(metric.p <= metric.level && metric.low.unwrap() > 1.0);
}

#[test]
fn a_baseline_unlike_itself_is_unstable() {
    let noise = |share: f64| {
        let pairs = (0..10).map(|nth| {
            let sign = if nth % 2 == 0 { 1.0 } else { -1.0 };
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
    let slow = || both(10, PLAIN, Show { p50: 112.0, ..PLAIN });
    let quiet = with_noise(slow(), 0.01);
    assert_eq!(word_of(&quiet.comparisons[0], Metric::P50), Word::Slower);
    let detectable = quiet.comparisons[0].scenarios[0].metrics[0].detectable.unwrap();
    assert!(detectable > 0.0 && detectable < 0.03, "{detectable}");
    let restless = with_noise(slow(), 0.3);
    let comparison = &restless.comparisons[0];
    assert_eq!(word_of(comparison, Metric::P50), Word::Unstable);
    // It is slower in another metric, which noise says nothing about.
    assert_eq!((comparison.word, restless.exit_code), (Word::Slower, 1));
    let far = with_noise(both(10, PLAIN, Show { p50: 300.0, ..PLAIN }), 0.3);
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
    assert!(metric.detectable.is_some_and(|detectable| detectable < 0.05));
    assert_eq!(comparison.scenarios[0].baseline.blocks, 10, "noise is no side");
}

#[test]
fn too_few_valid_pairs_are_invalid() {
    let mut blocks = both(10, PLAIN, Show { p50: 200.0, ..PLAIN });
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
    assert!(compared.metrics.iter().all(|metric| metric.word == Word::Invalid));
    assert_eq!(compared.candidate.invalid_blocks, 3);
    assert!(comparison.why.contains("7 valid pairs, and 8 are needed"), "{}", comparison.why);
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
    assert_eq!([1, 5, 6, 7, 12, 13, 25, 26].map(pairs_needed), [8, 8, 8, 9, 9, 10, 10, 11]);
    assert_eq!(pairs_needed(0), 8);
    let scenarios = |count: usize| {
        let all = (0..count).map(|nth| scenario(&format!("s{nth}"), both(10, PLAIN, PLAIN)));
        run(design(Kind::Pairs), all.collect())
    };
    assert_ne!(scenarios(5).comparisons[0].word, Word::Invalid);
    let hopeless = scenarios(6);
    let comparison = &hopeless.comparisons[0];
    assert_eq!((comparison.word, hopeless.exit_code), (Word::Invalid, 3));
    assert!(comparison.why.contains("30 tests with 10 pairs"), "{}", comparison.why);
    assert!(comparison.why.contains("11 pairs are needed"), "{}", comparison.why);
}

#[test]
fn a_candidate_that_dies_has_crashed() {
    let mut blocks = both(10, PLAIN, PLAIN);
    dies(&mut blocks[1].proxy);
    let (comparison, exit) = judged(blocks.clone());
    assert_eq!((comparison.word, exit), (Word::Crashed, 4));
    assert!(comparison.why.contains("round 1: died (SIGSEGV)"), "{}", comparison.why);
    // One pair is enough for that.
    assert_eq!(judged(blocks[..2].to_vec()).1, 4);

    let mut upstream = both(10, PLAIN, PLAIN);
    dies(&mut upstream[3].upstream);
    assert_eq!(judged(upstream).0.word, Word::Crashed);

    let mut same = blocks.clone();
    dies(&mut same[2].proxy);
    let (comparison, exit) = judged(same);
    assert_eq!(exit, 0, "{comparison:?}");
    assert!(comparison.notes[0].contains("went down on both sides"), "{:?}", comparison.notes);
    assert_eq!(comparison.scenarios[0].pairs, 8);

    let mut before = both(10, PLAIN, PLAIN);
    dies(&mut before[0].proxy);
    let (comparison, exit) = judged(before);
    assert_eq!((comparison.word.gravity(), exit), (Gravity::Fine, 0));
    assert!(comparison.notes[0].contains("none of the candidate"), "{:?}", comparison.notes);
}

#[test]
fn losing_messages_is_worse_than_being_slow() {
    let fast = Show { p50: 50.0, ..PLAIN };
    let mut blocks = both(10, PLAIN, fast);
    counts(&mut blocks[1]).failed.insert("lost".to_owned(), 1);
    let (comparison, exit) = judged(blocks.clone());
    assert_eq!((comparison.word, exit), (Word::WorseIntegrity, 1));
    assert!(comparison.why.contains("lost: 1 of 200,000"), "{}", comparison.why);
    // A different kind does not excuse it, and the same kind as often does.
    counts(&mut blocks[0]).failed.insert("corrupted".to_owned(), 1);
    assert_eq!(judged(blocks.clone()).0.word, Word::WorseIntegrity);
    counts(&mut blocks[0]).failed.insert("lost".to_owned(), 1);
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
            counts(block).failed.insert("reset".to_owned(), after(round));
        });
        judged(blocks).0
    };
    assert_eq!(with(|_| 0, |round| u64::from(round == 3)).word, Word::WorseIntegrity);
    let as_many = with(|round| u64::from(round % 4), |round| u64::from((round + 2) % 4));
    assert_eq!(as_many.word.gravity(), Gravity::Fine, "{}", as_many.why);
    let more = with(|_| 10, |round| 30 + u64::from(round));
    assert_eq!(more.word, Word::WorseIntegrity);
    assert!(more.why.contains("355 failed requests"), "{}", more.why);
}

#[test]
fn where_harm_is_done_only_conduct_is_compared() {
    let harmed = || {
        let mut scenario = scenario("crash", both(2, PLAIN, Show { p50: 900.0, ..PLAIN }));
        scenario.header.config = serde_json::json!({"upstream": [{"defects": ["hang"]}]});
        scenario
    };
    let run_of = |scenario| run(design(Kind::Pairs), vec![scenario]);
    let equal = run_of(harmed());
    assert_eq!((equal.comparisons[0].word, equal.exit_code), (Word::Equivalent, 0));
    assert!(equal.comparisons[0].scenarios[0].metrics.is_empty());
    let mut died = harmed();
    dies(&mut died.blocks[1].upstream);
    assert_eq!(run_of(died).exit_code, 4);
    let mut cut = harmed();
    cut.complete = false;
    assert_eq!(run_of(cut).comparisons[0].word, Word::Invalid);
}

#[test]
fn a_closed_loop_claims_no_latency() {
    let mut blocks = both(10, PLAIN, Show { p50: 200.0, ..PLAIN });
    for block in &mut blocks {
        block.loads[0].record.as_mut().unwrap().mode = "closed".to_owned();
    }
    let (comparison, exit) = judged(blocks);
    assert_eq!((comparison.word.gravity(), exit), (Gravity::Fine, 0));
    let judged = comparison.scenarios[0].metrics.iter().filter(|metric| metric.is_judged);
    let judged: Vec<Metric> = judged.map(|metric| metric.metric).collect();
    assert_eq!(judged, [Metric::Rate, Metric::CpuPerMsg, Metric::PeakMemory]);
    assert!(comparison.notes[0].contains("closed"), "{:?}", comparison.notes);
}

#[test]
fn going_direct_has_no_costs_to_compare() {
    let mut blocks = both(10, PLAIN, PLAIN);
    change(&mut blocks, Arm::Baseline, |block| block.proxy = None);
    let (comparison, _) = judged(blocks);
    let metrics = &comparison.scenarios[0].metrics;
    assert!(metrics.iter().all(|metric| metric.metric != Metric::CpuPerMsg));
    assert!(
        comparison.notes[0].ends_with("cpu_per_msg, peak_memory"),
        "{:?}",
        comparison.notes
    );
}

#[test]
fn a_tournament_pairs_rounds_and_judges_nobody() {
    let subjects = [("old", 100.0), ("new", 120.0), ("third", 80.0)];
    let blocks = (1..=10).flat_map(|round| {
        subjects.iter().zip([Arm::Baseline, Arm::Candidate, Arm::NoiseFirst]).map(
            move |((subject, p50), arm)| Block {
                subject: (*subject).to_owned(),
                arm: None,
                ..block(round, arm, Show { p50: *p50, ..PLAIN })
            },
        )
    });
    let mut design = design(Kind::Tournament);
    design.candidates.push("third".to_owned());
    let run = run(design, vec![scenario("latency", blocks.collect())]);
    let words: Vec<Word> = run.comparisons.iter().map(|comparison| comparison.word).collect();
    assert_eq!(words, [Word::Slower, Word::Faster]);
    assert_eq!(run.exit_code, 0);
}

fn beside_history(anchor_now: Show, candidate: Show) -> RunFile {
    let figures = |arm, show| -> Vec<BlockFigures> {
        (21..=30).map(|round| blocks::figures(&block(round, arm, show))).collect()
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
        [block(round, Arm::Anchor, anchor_now), block(round, Arm::Candidate, candidate)]
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
    let slow = Show { p50: 120.0, ..PLAIN };
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
    let slow = Show { p50: 120.0, ..PLAIN };
    let run = beside_history(slow, slow);
    let comparison = &run.comparisons[0];
    assert_eq!(word_of(comparison, Metric::P50), Word::Unstable);
    assert_eq!((comparison.word, run.exit_code), (Word::Unstable, 3));
    assert!(comparison.why.contains("going direct has itself changed by +20"), "{}", comparison.why);
    // The load client's own cost is what shows a change of the processor.
    let costly = Show { cpu: 6.0, ..PLAIN };
    let run = beside_history(costly, costly);
    assert_eq!(word_of(&run.comparisons[0], Metric::CpuPerMsg), Word::Unstable);
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
    assert!(comparison.notes.iter().any(|note| note.contains("cut short after 9 of 10")));
    let (comparison, exit) = cut(4);
    assert_eq!((comparison.word, exit), (Word::Invalid, 130));
    let nothing = run(design(Kind::Pairs), Vec::new());
    assert_eq!(nothing.comparisons[0].word, Word::Invalid);
}

#[test]
fn a_family_hides_no_word_from_the_exit_code() {
    let slow = scenario("slow", both(10, PLAIN, Show { p50: 150.0, ..PLAIN }));
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
fn comparisons_are_computed_again_from_a_run_file() {
    let run = beside_history(PLAIN, Show { p50: 120.0, ..PLAIN });
    let written = serde_json::to_string(&run).unwrap();
    let mut back: RunFile = serde_json::from_str(&written).unwrap();
    back.comparisons.clear();
    back.conclude();
    assert_eq!(back.comparisons, run.comparisons);
}

#[test]
fn every_form_shows_it() {
    let run = run(
        design(Kind::Pairs),
        vec![scenario("latency", both(10, PLAIN, Show { p50: 120.0, ..PLAIN }))],
    );
    let text = crate::text::render(&run, None);
    for part in ["new beside old: SLOWER — p50 +20", "latency: slower (10 pairs)", "for information", "a regression (exit 1)"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let markdown = crate::markdown::render(&run);
    assert!(markdown.contains("### new beside old: SLOWER"), "{markdown}");
    assert!(markdown.contains("| ❌ | latency | p50 | "), "{markdown}");
    let junit = crate::junit::render(&run);
    assert_eq!(junit.matches("<testcase ").count(), 6, "{junit}");
    assert_eq!(junit.matches("<failure ").count(), 2, "{junit}");
}
