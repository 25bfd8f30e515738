//! Runs made by hand, folded.

use super::*;
use crate::expect::Fate;
use crate::fixtures::{Story, fate, load, load_record};
use crate::text;

fn story() -> Story {
    Story::new(vec![
        load("p99 < 2ms"),
        fate(Role::Upstream, Fate::Survives),
    ])
    .block("builtin")
    .load(load_record(100, 90))
    .garbage(1 << 20)
    .at(2_100, Event::BlockEnded { problem: None })
    .block("direct")
    .load(load_record(100, 70))
    .end()
}

#[test]
fn events_survive_their_lines() {
    for stamped in story().0 {
        let line = serde_json::to_string(&stamped).unwrap();
        assert_eq!(
            serde_json::from_str::<Stamped>(&line).unwrap(),
            stamped,
            "{line}"
        );
    }
}

#[test]
fn verdicts_can_be_recomputed_from_a_run_file() {
    let run = RunFile::from_events(&story().0);
    let written = serde_json::to_string(&run).unwrap();
    let mut back: RunFile = serde_json::from_str(&written).unwrap();
    assert_eq!(back, run);
    for scenario in &mut back.scenarios {
        scenario.verdicts.clear();
        scenario.figures.clear();
        scenario.reconciliation.clear();
    }
    back.exit_code = 77;
    back.conclude();
    assert_eq!(back, run);
}

#[test]
fn cpu_time_is_what_measuring_cost() {
    let run = RunFile::from_events(&story().0);
    let cost = run.scenarios[0].blocks[0].loads[0]
        .cpu_us_per_msg()
        .unwrap();
    assert!(
        (cost - 5.0).abs() < 1e-9,
        "100 ms for 20,000 messages, not {cost}"
    );
}

#[test]
fn half_of_the_cpu_time_is_no_cpu_time() {
    for missing in [Mark::Begin, Mark::End] {
        let mut story = story();
        story
            .0
            .retain(|stamped| !matches!(stamped.event, Event::CpuMark { at, .. } if at == missing));
        let run = RunFile::from_events(&story.0);
        let blocks = &run.scenarios[0].blocks;
        assert!(
            blocks
                .iter()
                .all(|block| block.loads[0].proxy_cpu_ns.is_none()),
            "without {missing:?}"
        );
    }
}

#[test]
fn what_stands_between_is_compared_with_going_direct() {
    let run = RunFile::from_events(&story().0);
    let figures = &run.scenarios[0].figures;
    assert_eq!(
        figures
            .iter()
            .map(|row| row.subject.as_str())
            .collect::<Vec<_>>(),
        ["direct", "builtin"]
    );
    assert_eq!(
        (figures[0].added_p50_us, figures[1].added_p50_us),
        (None, Some(20.0))
    );
}

#[test]
fn what_is_invalid_is_not_compared_with() {
    let mut late = load_record(100, 30);
    late.valid = false;
    let story = Story::new(Vec::new())
        .block("builtin")
        .load(load_record(100, 90))
        .block("direct")
        .load(late.clone())
        .block("nginx")
        .load(late);
    let mut run = RunFile::from_events(&story.end().0);
    run.scenarios[0].header.subjects.push("nginx".to_owned());
    run.conclude();
    let figures = &run.scenarios[0].figures;
    let ours = figures.iter().find(|row| row.subject == "builtin").unwrap();
    assert_eq!((ours.added_p50_us, ours.added_p99_us), (None, None));
    let beside = ours.beside_peer.as_ref().unwrap();
    assert_eq!((beside.p50, beside.rate), (None, None));
}

#[test]
fn any_part_of_a_run_makes_a_run_file_and_a_report() {
    let story = story();
    for until in 0..=story.0.len() {
        let run = RunFile::from_events(&story.0[..until]);
        let report = text::render(&run, Some("somewhere"));
        assert!(report.contains("exit"), "{report}");
        assert!(
            until == story.0.len()
                || run.scenarios.iter().all(|s| !s.complete)
                || until + 1 == story.0.len()
        );
    }
}

#[test]
fn several_servers_have_their_own_evidence() {
    let named = |name: &str| Event::ChildStarted {
        role: Role::Upstream,
        name: name.to_owned(),
        pid: 7,
        command: vec![name.to_owned()],
    };
    let story = Story::new(Vec::new())
        .block("builtin")
        .at(40, named("upstream.2"))
        .at(41, named("upstream.1"))
        .at(42, named("upstream.9999999"))
        .end();
    let run = RunFile::from_events(&story.0);
    let block = &run.scenarios[0].blocks[0];
    let names: Vec<_> = block.upstreams().map(|(name, _)| name).collect();
    assert_eq!(names, ["upstream.0", "upstream.1", "upstream.2"]);
    assert_eq!(block.more_upstreams[1].command, ["upstream.2"]);
}

/// The proxy ends in this way at 500 ms, its successor in good order at the end.
fn upgraded(old_asked: bool) -> RunFile {
    let started = || Event::ChildStarted {
        role: Role::Proxy,
        name: "proxy".to_owned(),
        pid: 8,
        command: Vec::new(),
    };
    let old = crate::event::Exit {
        asked: old_asked,
        signal: (!old_asked).then(|| "SIGSEGV".to_owned()),
        ..crate::event::Exit::default()
    };
    let exited = Event::Exited {
        role: Role::Proxy,
        name: "proxy".to_owned(),
        exit: old,
    };
    let story = Story::new(vec![fate(Role::Proxy, Fate::Survives)])
        .block("builtin")
        .at(400, started())
        .at(500, exited)
        .exit(Role::Proxy, "SIGTERM", true)
        .end();
    RunFile::from_events(&story.0)
}

#[test]
fn an_old_proxy_that_ends_in_good_order_is_no_death_and_one_that_crashes_is() {
    assert_eq!(upgraded(true).exit_code, 0);
    assert_eq!(upgraded(false).exit_code, 4);
}
