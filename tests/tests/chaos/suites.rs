//! Suites: which scenarios they run, what is left out where it cannot be done, and a short
//! soak.

use tests::scenario::Run;

use super::{BROKEN_PROXY, HARNESS};

#[test]
fn suites_are_listed_and_refused_by_name() {
    let list = std::process::Command::new(HARNESS).arg("list").output();
    let list = String::from_utf8(list.expect("the harness").stdout).expect("text");
    for suite in ["quick", "defects", "chaos", "soak", "tcp", "statsd", "udp"] {
        assert!(list.contains(&format!("--suite {suite}")), "{list}");
    }
    Run::of(HARNESS, &["run", "--suite", "nonsense"])
        .expect_code(2)
        .expect_text("quick, defects, crash, chaos, soak");
    Run::of(HARNESS, &["run", "--suite", "statsd", "--mode", "tcp"])
        .expect_code(2)
        .expect_text("none of these scenarios is for it");
    Run::of(HARNESS, &["run", "latency", "--suite", "chaos"]).expect_code(2);
}

#[test]
fn a_table_stands_for_the_suite() {
    let run = Run::of(HARNESS, &["run", "--suite", "udp"]);
    run.expect_code(0).expect_text("udp-echo");
    assert_eq!(run.record()["suite"], "udp");
}

#[test]
fn where_nothing_of_a_suite_can_be_done_it_is_said_why() {
    let args = ["run", "--suite", "udp", "--proxy", BROKEN_PROXY];
    Run::of(HARNESS, &args)
        .expect_code(2)
        .expect_text("no scenario can be run: udp-echo: ")
        .expect_text("relays no datagrams");
}

#[test]
fn a_soak_mixes_everything_and_can_be_repeated() {
    let soak = [
        "run",
        "--suite",
        "soak",
        "--mode",
        "foo",
        "--duration",
        "16s",
        "--seed",
        "7",
    ];
    let done = || {
        // Garbage that came while nobody could be reached shows nothing.
        let run = Run::of(HARNESS, &[&soak[..], &["--lenient"]].concat());
        run.expect_code(0).expect_text("soak-foo");
        let record = run.record();
        let block = record["scenarios"][0]["blocks"][0].clone();
        let faults = block["faults"].as_array().expect("faults").clone();
        assert!(!faults.is_empty() && !block["fuzzes"].as_array().expect("garbage").is_empty());
        let words = |key: &str| -> Vec<String> {
            faults.iter().map(|fault| fault[key].to_string()).collect()
        };
        (words("target"), words("action"), words("toxic"))
    };
    assert_eq!(done(), done());
}
