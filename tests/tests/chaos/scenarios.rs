//! The scenarios of the suite, each in half its time and without demands on times, which a
//! machine that does other things as well cannot keep.

use std::time::Duration;

use harness::scenario::suite::Suite;
use harness::scenario::{Expect, Scenario, builtin};
use tests::scenario::Run;

use super::HARNESS;

/// A scenario in half its time.
fn shortened(mut scenario: Scenario) -> Scenario {
    let halve = |time: &mut Duration| *time /= 2;
    for load in &mut scenario.load {
        halve(&mut load.start);
        halve(&mut load.duration);
    }
    for fuzz in &mut scenario.fuzz {
        halve(&mut fuzz.start);
        halve(&mut fuzz.duration);
    }
    for fault in &mut scenario.fault {
        halve(&mut fault.at);
        halve(&mut fault.lasts);
        halve(&mut fault.every);
    }
    scenario.expect.retain(|expect| !is_about_time(expect));
    scenario
}

fn is_about_time(expect: &Expect) -> bool {
    let starts = |word: &str| {
        let load = expect.load.as_ref();
        load.is_some_and(|load| load.starts_with(word))
    };
    let is_late = expect.phase.as_deref() == Some("after") && starts("failed");
    expect.recovery.is_some() || expect.backend.is_some() || starts("p") || starts("max") || is_late
}

/// Runs a built-in scenario in short: all that is demanded of it holds, and every fault did
/// something.
fn run(name: &str) {
    let scenario = builtin::named(name).unwrap_or_else(|| panic!("there is no {name}"));
    for scenario in scenario.each_mode(None) {
        let name = scenario.name.clone();
        let directory = tempfile::tempdir().expect("a directory");
        let text = toml::to_string(&shortened(scenario)).expect("a scenario can be written");
        std::fs::write(directory.path().join("short.toml"), text).expect("a file");
        // What could not be judged, as on a machine that was too slow, is no failure.
        let run = Run::in_directory(directory, HARNESS, &["run", "short.toml", "--lenient"]);
        run.expect_code(0).expect_text(&name);
    }
}

macro_rules! scenarios {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            run($name);
        })*

        #[test]
        fn every_scenario_has_a_short_form() {
            let all = builtin::all().into_iter().filter(|one| Suite::Chaos.has(one));
            let names: Vec<String> = all.map(|one| one.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

scenarios! {
    latency: "chaos-latency",
    jitter: "chaos-jitter",
    latency_that_grows: "chaos-latency-growing",
    narrow_bandwidth: "chaos-bandwidth",
    slow_close: "chaos-slow-close",
    blackhole: "chaos-blackhole",
    resets: "chaos-resets",
    resets_behind_the_proxy: "chaos-resets-behind",
    single_bytes: "chaos-slicer",
    corruption: "chaos-corruption",
    cut_after_bytes: "chaos-cut",
    half_open: "chaos-half-open",
    upstream_killed: "chaos-upstream-killed",
    upstream_frozen: "chaos-upstream-frozen",
    upstream_restarted: "chaos-upstream-restarted",
    flapping: "chaos-flapping",
    two_faults_at_once: "chaos-two-faults",
    fault_while_the_proxy_ends: "chaos-drain",
    slow_clients: "chaos-slow-clients",
    connection_flood: "chaos-flood",
    descriptors_exhausted: "chaos-descriptors",
    memory_limit: "chaos-memory",
    replies_dropped: "chaos-foo-drop",
    replies_doubled: "chaos-foo-duplicate",
    replies_swapped: "chaos-foo-swap",
    replies_stale: "chaos-foo-stale",
    fault_while_a_backend_drains: "chaos-tcp-drain",
    one_backend_is_a_blackhole: "chaos-tcp-blackhole",
    lines_lost: "chaos-statsd-loss",
    lines_doubled: "chaos-statsd-duplicate",
    lines_overtaken: "chaos-statsd-reorder",
    datagrams_lost: "chaos-udp-loss",
    datagrams_doubled: "chaos-udp-duplicate",
    datagrams_overtaken: "chaos-udp-reorder",
    datagrams_corrupted: "chaos-udp-corruption",
}
