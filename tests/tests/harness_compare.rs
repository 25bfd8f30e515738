//! Comparing: what is slower is called slower, what loses messages is worse however fast
//! it is, what dies crashed; and what cannot be compared is refused in one line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tests::scenario::{Run, read_json};
use tests::{Program, eventually};

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const PROXY: &str = env!("CARGO_BIN_EXE_test-proxy");
const BROKEN_PROXY: &str = env!("CARGO_BIN_EXE_test-broken-proxy");
const PLANTED_RELAY: &str = env!("CARGO_BIN_EXE_test-planted-relay");

/// A load that is never too much, since it waits for its answers, in blocks that are over
/// soon.
const BRISK: &str = r#"
    name = "brisk"

    [[load]]
    closed = true
    connections = 4
    threads = 1
    warmup = "50ms"
    duration = "200ms"
"#;

/// A directory with that scenario in it.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("brisk.toml"), BRISK).expect("a file");
    directory
}

fn compare(baseline: &str, candidate: &str, more: &[&str]) -> Run {
    let args = [
        &["compare", "--baseline", baseline, "--candidate", candidate],
        &["--scenario", "brisk.toml", "--pairs", "8"][..],
        more,
    ]
    .concat();
    Run::in_directory(directory(), HARNESS, &args)
}

fn relay(planted: &str) -> String {
    format!("cmd:{PLANTED_RELAY} --listen {{listen}} --forward {{forward}} {planted}")
}

fn metric<'a>(run: &'a Value, name: &str) -> &'a Value {
    let metrics = &run["comparisons"][0]["scenarios"][0]["metrics"];
    let metrics = metrics.as_array().expect("metrics");
    let found = metrics.iter().find(|metric| metric["metric"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {metrics:?}"))
}

fn blocks(run: &Value) -> Vec<String> {
    let blocks = run["scenarios"][0]["blocks"].as_array().expect("blocks");
    let arm = |block: &Value| block["arm"].as_str().unwrap_or_default().to_owned();
    blocks.iter().map(arm).collect()
}

#[test]
fn a_slower_relay_is_called_slower_and_noise_is_measured_once() {
    let (sound, slow) = (relay(""), relay("--delay 5ms"));
    let run = compare(&sound, &slow, &["--lenient"]);
    run.expect_code(1).expect_text("slower");
    let record = run.record();
    let rate = metric(&record, "rate");
    assert_eq!(rate["word"], "slower", "{rate}");
    assert!(rate["high"].as_f64() < Some(0.5), "{rate}");
    assert_eq!(rate["noise"].as_array().map(Vec::len), Some(8), "{rate}");
    assert!(rate["detectable"].is_number(), "{rate}");
    let arms = blocks(&record);
    let count = |arm: &str| arms.iter().filter(|other| *other == arm).count();
    assert_eq!((count("noise_first"), count("noise_second")), (16, 16));
    assert!(count("baseline") >= 16 && count("baseline") == count("candidate"));
    for file in ["report.txt", "report.md", "junit.xml", "report.html"] {
        assert!(run.file(file).exists(), "{file}");
    }

    // The other way round it is faster; that is no reason to fail. What the slow one differs
    // from itself is not known yet.
    let args = |baseline: &str, candidate: &str| {
        ["compare", "--baseline", baseline, "--candidate", candidate]
            .into_iter()
            .chain(["--scenario", "brisk.toml", "--pairs", "8"])
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let again = |run: Run, args: Vec<String>| {
        run.again(
            HARNESS,
            &args.iter().map(String::as_str).collect::<Vec<_>>(),
        )
    };
    let run = again(run, args(&sound, &slow));
    let record = run.record();
    assert!(
        !blocks(&record).contains(&"noise_first".to_owned()),
        "it is known"
    );
    assert_eq!(
        metric(&record, "rate")["noise"].as_array().map(Vec::len),
        Some(8)
    );
    let run = again(run, args(&slow, &sound));
    assert_eq!(
        metric(&run.record(), "rate")["word"],
        "faster",
        "{}",
        run.stdout
    );
}

#[test]
fn what_loses_messages_is_worse_however_fast() {
    let corrupt = format!(
        "cmd:{BROKEN_PROXY} foo --listen {{listen}} --forward {{forward}} --defect corrupts"
    );
    let run = compare(&relay(""), &corrupt, &["--lenient"]);
    run.expect_code(1).expect_text("worse integrity");
}

#[test]
fn a_candidate_that_dies_crashed_and_is_not_run_to_the_end() {
    let directory = directory();
    let dying = relay("--die-after 500");
    let sound = relay("");
    let args = ["compare", "--baseline", &sound, "--candidate", &dying];
    let more = [
        "--scenario",
        "brisk.toml",
        "--pairs",
        "8",
        "--duration",
        "2s",
    ];
    let run = Run::in_directory(directory, HARNESS, &[&args[..], &more].concat());
    run.expect_code(4).expect_text("crashed");
    let arms = blocks(&run.record());
    assert_eq!(
        arms.iter().filter(|arm| *arm == "candidate").count(),
        2,
        "{arms:?}"
    );
}

#[test]
fn survival_is_compared_where_there_is_garbage() {
    let args = |baseline: &str, candidate: &str| {
        let args = ["compare", "--baseline", baseline, "--candidate", candidate];
        Run::of(
            HARNESS,
            &[&args[..], &["--scenario", "crash-shield"]].concat(),
        )
    };
    let plain = relay("");
    args(PROXY, &plain).expect_code(4).expect_text("crashed");
    args(&plain, PROXY).expect_code(0);
}

#[test]
fn stopped_in_the_middle_it_reports_what_it_has() {
    let directory = directory();
    let out = directory.path().join("out");
    let mut command = Command::new(HARNESS);
    let sound = relay("");
    command
        .args(["compare", "--baseline", &sound, "--candidate", &sound])
        .args(["--scenario", "brisk.toml", "--pairs", "200"])
        .arg("--out")
        .arg(&out)
        .current_dir(directory.path());
    let mut harness = Program::spawn(command, None);
    eventually("a pair", || {
        let events = fs::read_to_string(out.join("events.jsonl")).unwrap_or_default();
        (events.matches("\"block_ended\"").count() >= 8).then_some(())
    });
    harness.signal(Signal::INT);
    assert_eq!(harness.wait().code(), Some(130), "{}", harness.describe());
    let record = read_json(&out.join("run.json"));
    assert!(record["comparisons"][0]["scenarios"][0]["pairs"].as_u64() >= Some(1));
    assert!(harness.stdout().contains("partial"), "{}", harness.stdout());
}

#[test]
fn a_saved_run_is_a_baseline_on_its_own_machine() {
    let (sound, slow) = (relay(""), relay("--delay 5ms"));
    let run = compare(&sound, &sound, &["--save", "before.json", "--lenient"]);
    assert!(matches!(run.code, 0 | 1), "{}", run.stdout);
    assert!(blocks(&run.record()).contains(&"anchor".to_owned()));
    let args = ["compare", "--baseline", "before.json", "--candidate", &slow];
    let run = run.again(HARNESS, &[&args[..], &["--pairs", "8"]].concat());
    run.expect_text("interleaved");
    let record = run.record();
    // How much the machine itself has changed since is no concern of ours here.
    let rate = metric(&record, "rate");
    assert!(rate["high"].as_f64() < Some(0.5), "{rate}");
    assert!(!blocks(&record).contains(&"baseline".to_owned()));

    let mut other = read_json(&run.path("before.json"));
    other["host"]["cpu"] = "Some Other Processor".into();
    fs::write(run.path("other.json"), other.to_string()).expect("a file");
    let args = ["compare", "--baseline", "other.json", "--candidate", &slow];
    let run = run.again(HARNESS, &args);
    run.expect_code(2);
    assert!(run.stderr.contains("another machine"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn a_tournament_is_one_table() {
    let (sound, slow) = (relay(""), relay("--delay 5ms"));
    let args = [
        "tournament",
        &sound,
        &slow,
        "--suite",
        "brisk.toml",
        "--rounds",
        "8",
    ];
    let run = Run::in_directory(directory(), HARNESS, &args);
    run.expect_code(0)
        .expect_text("TOURNAMENT")
        .expect_text("direct");
    assert_eq!(
        metric(&run.record(), "rate")["word"],
        "slower",
        "{}",
        run.stdout
    );
}

#[test]
fn what_cannot_be_compared_is_refused_in_one_line() {
    let sound = relay("");
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &[
                "compare",
                "--baseline",
                &sound,
                "--candidate",
                "builtin",
                "--pairs",
                "3",
            ],
            2,
            "8",
        ),
        (
            &["compare", "--baseline", "./no", "--candidate", &sound],
            5,
            "./no",
        ),
        (
            &[
                "compare",
                "--baseline",
                "addr:127.0.0.1:1",
                "--candidate",
                &sound,
            ],
            2,
            "runs already",
        ),
        (
            &["compare", "--baseline", "builtin", "--candidate", PROXY],
            2,
            "part of the harness",
        ),
        (
            &["compare", "--baseline", "caddy", "--candidate", &sound],
            2,
            "envoy",
        ),
        (
            &["compare", "--baseline", "none.json", "--candidate", &sound],
            2,
            "none.json",
        ),
        (
            &["compare", "--baseline", "cut.json", "--candidate", &sound],
            2,
            "cut short",
        ),
        (
            &["compare", "--baseline", "newer.json", "--candidate", &sound],
            2,
            "newer",
        ),
        (
            &["compare", "--baseline", "git:HEAD", "--candidate", &sound],
            5,
            "git",
        ),
        (
            &[
                "compare",
                "--baseline",
                &sound,
                "--candidate",
                &sound,
                "--scenario",
                "crash-direct",
            ],
            2,
            "crash-direct",
        ),
        (&["tournament", &sound, &sound], 2, "twice"),
        (&["tournament", &sound], 2, "2"),
    ];
    for (args, code, says) in cases {
        let directory = directory();
        let write = |name: &str, text: &str| {
            fs::write(directory.path().join(name), text).expect("a file");
        };
        write("cut.json", "{\"schema_version\": 2, \"id\": ");
        write("newer.json", "{\"schema_version\": 99}");
        let run = Run::in_directory(directory, HARNESS, args);
        run.expect_code(*code);
        let said = run.stderr.trim();
        assert!(
            said.contains(says) && said.lines().count() == 1,
            "{args:?}: {said}"
        );
        assert!(!run.file("run.json").exists(), "{args:?}");
    }
}

#[test]
fn what_does_not_speak_the_protocol_is_named() {
    let directory = directory();
    // It takes connections, and closes them.
    let deaf = script(
        &directory,
        &format!("exec {HARNESS} upstream foo --defect accept-then-close --listen $2"),
    );
    let sound = relay("");
    let run = |directory: tempfile::TempDir, candidate: &str| {
        let args = ["compare", "--baseline", &sound, "--candidate", candidate];
        let more = ["--scenario", "brisk.toml", "--pairs", "8"];
        Run::in_directory(directory, HARNESS, &[&args[..], &more].concat())
    };
    let deaf = run(directory, &deaf);
    deaf.expect_code(5)
        .expect_text("does not answer a valid request");
    let gone = run(self::directory(), "cmd:true {listen} {forward}");
    gone.expect_code(5).expect_text("died at its start");
}

/// A proxy that is this shell script, as a descriptor.
fn script(directory: &tempfile::TempDir, text: &str) -> String {
    let path = directory.path().join("script");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file");
    format!(
        "cmd:{} --listen {{listen}} --forward {{forward}}",
        path.display()
    )
}
