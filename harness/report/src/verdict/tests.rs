//! Each exit code and each kind of claim, from evidence made by hand.

use super::*;
use crate::event::{Event, ProbeOutcome, Role};
use crate::expect::{Expectation, Fate};
use crate::fixtures::{Story, fate, load, load_record};

fn outcomes(run: &RunFile) -> Vec<Outcome> {
    run.scenarios[0]
        .verdicts
        .iter()
        .map(|verdict| verdict.outcome)
        .collect()
}

fn judged(story: Story) -> (Vec<Outcome>, u8) {
    let run = RunFile::from_events(&story.0);
    (outcomes(&run), run.exit_code)
}

#[test]
fn each_exit_code_has_its_cause() {
    use Outcome::{Fail, Inconclusive, Pass};
    let sound = |text: &str| {
        Story::new(vec![load(text)])
            .block("builtin")
            .load(load_record(100, 70))
    };
    // Three more verdicts go without saying: upstream and proxy survive, and no answer is
    // wrong.
    assert_eq!(
        judged(sound("p99 < 2ms").end()),
        (vec![Pass, Pass, Pass, Pass], 0)
    );
    assert_eq!(
        judged(sound("p99 < 50us").end()),
        (vec![Fail, Pass, Pass, Pass], 1)
    );
    let late = load_record(100, 70);
    let late = loadgen::record::LoadRecord {
        valid: false,
        ..late
    };
    let story = Story::new(vec![load("p99 < 2ms"), load("failed = 0")])
        .block("builtin")
        .load(late);
    assert_eq!(
        judged(story.end()),
        (vec![Inconclusive, Pass, Pass, Pass], 3)
    );
    let died = sound("p99 < 50us")
        .exit(Role::Upstream, "SIGSEGV", false)
        .end();
    assert_eq!(judged(died), (vec![Fail, Fail, Pass, Pass], 4));
    let broken = sound("p99 < 2ms").exit(Role::Upstream, "SIGSEGV", false);
    let broken = broken
        .at(
            3_000,
            Event::HarnessFailed {
                message: "disk full".to_owned(),
            },
        )
        .end();
    assert_eq!(judged(broken).1, 5);
    for (signal, exit_code) in [("SIGINT", 130), ("SIGTERM", 143)] {
        let signal = signal.to_owned();
        let cut = sound("p99 < 50us").at(1_500, Event::Interrupted { signal, exit_code });
        assert_eq!(judged(cut).1, exit_code);
    }
}

#[test]
fn lenient_forgives_only_what_could_not_be_judged() {
    let story = Story::new(vec![load("valid")]).block("builtin").end();
    let mut run = RunFile::from_events(&story.0);
    assert_eq!(run.exit_code, 3);
    run.header.lenient = true;
    run.conclude();
    assert_eq!(run.exit_code, 0);
    run.failures.push("x".to_owned());
    run.conclude();
    assert_eq!(run.exit_code, 5);
}

#[test]
fn a_death_that_is_expected_is_the_pass() {
    let demands = |fate_of_it| vec![fate(Role::Upstream, fate_of_it)];
    let story = |wanted| Story::new(demands(wanted)).block("direct").garbage(1 << 20);
    let dead = |wanted| story(wanted).exit(Role::Upstream, "SIGSEGV", false).end();
    let run = RunFile::from_events(&dead(Fate::Dies).0);
    // What is judged is the first subject; this story has only the other one.
    assert_eq!(outcomes(&run), [Outcome::Inconclusive]);
    let through = |wanted| {
        Story::new(demands(wanted))
            .block("builtin")
            .garbage(1 << 20)
    };
    let dead = through(Fate::Dies)
        .exit(Role::Upstream, "SIGSEGV", false)
        .end();
    let run = RunFile::from_events(&dead.0);
    assert_eq!((outcomes(&run)[0], run.exit_code), (Outcome::Pass, 0));
    let evidence = &run.scenarios[0].verdicts[0].evidence;
    assert!(
        evidence.contains("SIGSEGV") && evidence.contains("1.0 MiB"),
        "{evidence}"
    );
    assert!(evidence.contains("2,000 decode errors"), "{evidence}");
    let alive = RunFile::from_events(
        &through(Fate::Dies)
            .exit(Role::Upstream, "SIGTERM", true)
            .end()
            .0,
    );
    assert_eq!((outcomes(&alive)[0], alive.exit_code), (Outcome::Fail, 1));
}

#[test]
fn the_wrong_signal_is_not_the_expected_death() {
    let demand = |signal: Option<&str>, code| {
        Expectation::fate(
            Role::Upstream,
            Fate::Dies,
            signal.map(str::to_owned),
            code,
            Origin::Scenario,
        )
    };
    let first = |demand| {
        let story =
            Story::new(vec![demand])
                .block("builtin")
                .exit(Role::Upstream, "SIGABRT", false);
        outcomes(&RunFile::from_events(&story.end().0))[0]
    };
    assert_eq!(first(demand(None, None)), Outcome::Pass);
    assert_eq!(first(demand(Some("SIGABRT"), None)), Outcome::Pass);
    assert_eq!(first(demand(Some("SIGSEGV"), None)), Outcome::Fail);
    assert_eq!(first(demand(None, Some(101))), Outcome::Fail);
}

#[test]
fn surviving_nothing_shows_nothing() {
    let demands = || {
        vec![
            fate(Role::Upstream, Fate::Survives),
            load("answered during attack"),
        ]
    };
    let quiet = Story::new(demands())
        .block("builtin")
        .load(load_record(100, 70));
    assert_eq!(
        judged(quiet.clone().garbage(0).end()).0[..2],
        [Outcome::Inconclusive; 2]
    );
    assert_eq!(
        judged(quiet.clone().garbage(1_000).end()).0[..2],
        [Outcome::Pass; 2]
    );
    assert_eq!(
        judged(quiet.end()).0[..2],
        [Outcome::Pass, Outcome::Inconclusive]
    );
}

#[test]
fn a_death_before_the_garbage_shows_nothing() {
    let demand = || vec![fate(Role::Upstream, Fate::Dies)];
    let died = |story: Story| {
        let mut story = story.exit(Role::Upstream, "SIGSEGV", false).end();
        for stamped in &mut story.0 {
            match &mut stamped.event {
                Event::ScenarioStarted(header) => {
                    header.config["fuzz"] = serde_json::json!([{"name": "garbage"}]);
                }
                // Before the garbage, that is.
                Event::Exited { .. } => stamped.mono_ns = 150_000_000,
                _ => {}
            }
        }
        judged(story).0[0]
    };
    let block = || Story::new(demand()).block("builtin");
    assert_eq!(died(block()), Outcome::Inconclusive, "it was never reached");
    assert_eq!(died(block().garbage(1_000)), Outcome::Inconclusive);
}

#[test]
fn silence_during_the_attack_fails() {
    let mut silent = load_record(100, 70);
    for slice in &mut silent.intervals[1..] {
        slice.answered = 0;
    }
    let story = Story::new(vec![load("answered during attack")])
        .block("builtin")
        .load(silent);
    assert_eq!(judged(story.garbage(1_000).end()).0[0], Outcome::Fail);
}

#[test]
fn integrity_is_counted_by_kind_whether_the_run_is_valid_or_not() {
    let mut record = load_record(100, 70);
    record.valid = false;
    record.counts.failed.insert("corrupted".to_owned(), 3);
    record
        .counts
        .extra_answers
        .insert("duplicated".to_owned(), 2);
    let demands = [
        "failed = 0",
        "corrupted = 0",
        "duplicated = 0",
        "lost = 0",
        "failed = 5",
    ];
    let story = Story::new(demands.map(load).to_vec())
        .block("builtin")
        .load(record)
        .end();
    let run = RunFile::from_events(&story.0);
    use Outcome::{Fail, Pass};
    assert_eq!(outcomes(&run)[..5], [Fail, Fail, Fail, Pass, Pass]);
    let evidence = &run.scenarios[0].verdicts[0].evidence;
    assert!(
        evidence.contains("corrupted 3") && evidence.contains("duplicated 2"),
        "{evidence}"
    );
}

#[test]
fn a_hang_where_survival_is_expected_is_exit_4() {
    let story = Story::new(Vec::new()).block("builtin").probe(
        Role::Proxy,
        1_200,
        1_000,
        ProbeOutcome::Silent,
    );
    let run = RunFile::from_events(&story.end().0);
    assert_eq!(run.exit_code, 4);
    assert!(
        run.scenarios[0]
            .verdicts
            .iter()
            .any(|v| v.evidence == "proxy hung"),
        "{run:?}"
    );
}

#[test]
fn what_was_cut_short_is_never_a_pass() {
    let story = Story::new(vec![load("p99 < 2ms")])
        .block("builtin")
        .load(load_record(100, 70));
    let run = RunFile::from_events(&story.0);
    assert!(
        outcomes(&run)
            .iter()
            .all(|outcome| *outcome == Outcome::Inconclusive)
    );
    let problem = Some("the proxy died at its start".to_owned());
    let story = story.at(3_000, Event::ScenarioEnded { problem });
    assert_eq!(RunFile::from_events(&story.0).exit_code, 5);
}

#[test]
fn cost_and_memory_can_be_demanded() {
    let demands = [
        "cpu_per_msg < 6us",
        "cpu_per_msg < 4us",
        "peak_memory < 11MiB",
        "peak_memory < 9MiB",
    ];
    let story = Story::new(demands.map(load).to_vec())
        .block("builtin")
        .load(load_record(100, 70))
        .end();
    use Outcome::{Fail, Pass};
    assert_eq!(
        outcomes(&RunFile::from_events(&story.0))[..4],
        [Pass, Fail, Pass, Fail]
    );
}

#[test]
fn a_death_that_was_not_awaited_to_its_end_is_not_refuted() {
    let story = Story::new(vec![fate(Role::Upstream, Fate::Dies)]).block("builtin");
    let run = RunFile::from_events(&story.0);
    assert_eq!(outcomes(&run)[0], Outcome::Inconclusive);
    let run = RunFile::from_events(&story.end().0);
    assert_eq!(outcomes(&run)[0], Outcome::Fail);
}
