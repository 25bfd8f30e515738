//! Planted defects are found: by the clients' integrity check, by counts, by a fault that
//! did nothing, by what is watched in a soak.

use tests::scenario::Run;

use super::{BROKEN_PROXY, HARNESS, scenario};

fn fault(rest: &str) -> String {
    format!("[[fault]]\nat = \"500ms\"\nfor = \"500ms\"\n{rest}\n")
}

#[test]
fn a_link_that_corrupts_is_found_though_nobody_asked() {
    let corrupt = "link = \"client-proxy\"\ntoxic = \"corrupt\"\nattributes = { rate = 0.001 }";
    let run = Run::of_text(HARNESS, &scenario(&fault(corrupt)), &[]);
    run.expect_code(1)
        .expect_text("FAIL  test  no wrong answers");
    assert!(run.failed("corrupted") > 0);
}

#[test]
fn an_upstream_that_answers_twice_is_found() {
    let defect = "[[upstream]]\ndefects = [\"wrong-reply=duplicated:1/50\"]\n";
    let latency = "link = \"proxy-upstream\"\ntoxic = \"latency\"\nattributes = { latency = 5 }";
    let run = Run::of_text(
        HARNESS,
        &scenario(&format!("{defect}{}", fault(latency))),
        &[],
    );
    run.expect_code(1)
        .expect_text("FAIL  test  no wrong answers");
    assert!(run.failed("duplicated") > 0);
}

#[test]
fn a_fault_that_touched_nothing_fails_the_run() {
    let never =
        "link = \"client-proxy\"\ntoxic = \"limit_data\"\nattributes = { bytes = 1000000000 }";
    let run = Run::of_text(HARNESS, &scenario(&fault(never)), &[]);
    run.expect_code(1)
        .expect_text("FAIL  test  every fault on a link touched something");
}

/// A load on connections that come and go, watched closely.
fn watched(proxy: &str) -> Run {
    let watch = r#"
        [[load]]
        rate = "200/s"
        connections = 4
        requests_per_connection = 2
        warmup = "0"
        duration = "20s"

        [watch]
        window = "1s"
        memory = "4MiB"
        descriptors = 16

        [[fault]]
        at = "500ms"
        for = "18s"
        every = "1s"
        nemesis = "random"
        links = ["client-proxy"]
    "#;
    let proxy = format!("cmd:{BROKEN_PROXY} foo --listen {{listen}} --forward {{forward}} {proxy}");
    Run::of_text(HARNESS, watch, &["--proxy", &proxy, "--seed", "3"])
}

#[test]
fn a_leak_is_found_while_it_grows() {
    let run = watched("--defect leaks-per-connection=64KiB");
    run.expect_code(1)
        .expect_text("FAIL  test  every invariant holds")
        .expect_text("of proxy grew")
        .expect_text("again: harness run ");
    let record = run.record();
    let broken = &record["scenarios"][0]["blocks"][0]["broken"];
    assert!(
        broken["after_s"].as_f64().is_some_and(|s| s < 19.0),
        "{broken}"
    );
}

#[test]
fn a_wrong_answer_ends_a_run_that_is_watched() {
    watched("--defect corrupts=200")
        .expect_code(1)
        .expect_text("FAIL  test  every invariant holds")
        .expect_text("corrupted after");
}
