//! The search for the highest rate that holds.

use serde_json::Value;
use tests::scenario::Run;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const METERED_RELAY: &str = env!("CARGO_BIN_EXE_test-metered-relay");
const BROKEN_PROXY: &str = env!("CARGO_BIN_EXE_test-broken-proxy");

/// Short blocks, from 500/s on and not beyond 4k/s.
fn search(bound: &str, proxy: &str) -> Run {
    let mut args = vec!["bench", "--find-capacity", bound, "--proxy", proxy];
    args.extend(["--rate", "500/s", "--up-to", "4k/s", "--connections", "16"]);
    args.extend(["--duration", "700ms", "--warmup", "200ms", "--rounds", "2"]);
    args.extend(["--resolution", "10"]);
    Run::of(HARNESS, &args)
}

/// What was found for the subjects that are not direct, and for direct.
fn found(run: &Run) -> (Value, Value) {
    let record = run.record();
    let all = record["scenarios"][0]["capacity"]
        .as_array()
        .expect("what was found")
        .clone();
    let (direct, others): (Vec<Value>, Vec<Value>) =
        all.into_iter().partition(|one| one["subject"] == "direct");
    (others[0].clone(), direct[0].clone())
}

#[test]
fn the_capacity_of_a_relay_is_found() {
    let relay = format!("cmd:{METERED_RELAY} 1000 {{listen}} {{forward}}");
    let run = search("p99 < 60ms", &relay);
    let (relay, direct) = found(&run);
    let rate = relay["rate"].as_f64().expect("a rate");
    // However slow the machine is, no more than 1,000 replies a second pass. How many less
    // is the machine's, and so is whether direct the most can be asked for.
    assert!(
        rate < 4_000.0,
        "1,000 replies a second pass, and {rate} were found\n{}",
        run.stdout
    );
    match relay["limited_by"].as_str() {
        Some("bound") => assert!([0, 3].contains(&run.code), "{}", run.stdout),
        // A client that was too busy to know is a limit as well, if it says so.
        Some("load_client" | "unfinished") => {
            run.expect_code(3);
        }
        other => panic!("limited by {other:?}\n{}", run.stdout),
    }
    if direct["limited_by"] == "most" {
        assert_eq!(direct["rate"], 4_000.0);
    }
    run.expect_text("CAPACITY").expect_text("while p99 < 60ms");
    run.expect_text("at most").expect_text(" left");
}

#[test]
fn where_no_rate_holds_it_is_exit_code_1() {
    let relay = format!("cmd:{METERED_RELAY} 1000 {{listen}} {{forward}}");
    let more = [
        "--rate",
        "64/s",
        "--duration",
        "200ms",
        "--warmup",
        "0",
        "--rounds",
        "1",
    ];
    let mut args = vec!["bench", "--find-capacity", "p50 < 900us", "--proxy", &relay];
    args.extend(["--up-to", "64/s", "--connections", "2"]);
    args.extend(more);
    let run = Run::of(HARNESS, &args);
    run.expect_code(1).expect_text("no rate held");
    assert_eq!(found(&run).0["rate"], Value::Null);
}

#[test]
fn wrong_answers_are_no_capacity() {
    let relay = format!(
        "cmd:{BROKEN_PROXY} foo --listen {{listen}} --forward {{forward}} --defect corrupts"
    );
    let run = search("p99 < 60ms", &relay);
    assert_eq!(run.code, 1, "{}\n{}", run.stdout, run.stderr);
    run.expect_text("requests failed");
}

#[test]
fn what_bounds_no_rate_is_refused_in_one_line() {
    let cases: [(&[&str], &str); 7] = [
        (&["rate < 5k/s"], "rate bounds no rate; accepted: p50, p90"),
        (&["p99 > 2ms"], "expected < or <=, got >"),
        (&["p99 < 2"], "a duration such as"),
        (&["p99 < 2ms", "--closed"], "--closed"),
        (&["p99 < 2ms", "--expect", "p50<1ms"], "--expect"),
        (
            &["p99 < 2ms", "--rate", "5k/s", "--up-to", "1k/s"],
            "expected at most --up-to",
        ),
        (&["p99.9 < 2ms", "--rate", "100/s"], "10,000 answers"),
    ];
    for (args, says) in cases {
        let run = Run::of(HARNESS, &[&["bench", "--find-capacity"], args].concat());
        run.expect_code(2).expect_text(says);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
        assert!(!run.file("run.json").exists(), "nothing was started");
    }
    let direct = [
        "bench",
        "--find-capacity",
        "cpu_per_msg < 5us",
        "--proxy",
        "direct",
    ];
    Run::of(HARNESS, &direct)
        .expect_code(2)
        .expect_text("no proxy");
    Run::of(HARNESS, &["bench", "--up-to", "1k/s"])
        .expect_code(2)
        .expect_text("--find-capacity");
}
