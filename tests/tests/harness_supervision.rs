//! The harness as a supervisor: what it starts ends with it, whatever happens, and what
//! is wrong is named.

use std::fs;
use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use rustix::process::Signal;
use tests::scenario::{Run, read_json};
use tests::{Program, ReservedPort, eventually, proc};

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const PROXY: &str = env!("CARGO_BIN_EXE_test-proxy");

/// Starts a long run whose processes all carry a mark in their environment.
fn start_marked(mark: &str, args: &[&str], out: &std::path::Path) -> Program {
    let mut command = Command::new(HARNESS);
    command
        .args([
            "bench",
            "--duration",
            "1m",
            "--rounds",
            "1",
            "--rate",
            "500",
        ])
        .args(args);
    command.arg("--out").arg(out).env("HARNESS_TEST_MARK", mark);
    let harness = Program::spawn(command, None);
    // Harness, guard, upstream, load client at least.
    eventually("the children to run", || {
        (proc::marked(mark).len() >= 4).then_some(())
    });
    eventually("load to flow", || {
        let events = fs::read_to_string(out.join("events.jsonl")).unwrap_or_default();
        events.contains("interval").then_some(())
    });
    harness
}

#[test]
fn a_harness_that_is_killed_takes_its_children_along() {
    for proxy in ["builtin", "nginx"] {
        if proxy == "nginx" && !tests::is_installed(proxy) {
            continue;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let mark = format!("killed-{proxy}-{}", std::process::id());
        // Without a direct block first, so that the proxy runs at once.
        let harness = start_marked(&mark, &["--proxy", proxy], directory.path());
        harness.signal(Signal::KILL);
        eventually("no process to be left", || {
            let left = proc::marked(&mark)
                .into_iter()
                .filter(|pid| *pid != harness.pid());
            (left.count() == 0).then_some(())
        });
    }
}

#[test]
fn ctrl_c_leaves_a_partial_run_file_and_no_process() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let directory = tempfile::tempdir().expect("a directory");
        let mark = format!("interrupted-{code}-{}", std::process::id());
        let mut harness = start_marked(&mark, &[], directory.path());
        harness.signal(signal);
        let status = harness.wait();
        assert_eq!(status.code(), Some(code), "{}", harness.describe());
        assert!(proc::marked(&mark).is_empty(), "{}", harness.describe());
        let record = read_json(&directory.path().join("run.json"));
        assert_eq!(record["exit_code"], code);
        assert!(!record["interrupted"].is_null());
    }
}

#[test]
fn a_proxy_that_is_missing_or_dies_at_start_is_exit_code_5_with_its_words() {
    let scenario = "[[upstream]]\n[[load]]\nrate = \"100\"\nduration = \"200ms\"\n";
    let run = Run::of_text(HARNESS, scenario, &["--proxy", "/nowhere/my-proxy"]);
    run.expect_code(5).expect_text("/nowhere/my-proxy");
    let dies = "cmd:sh -c 'echo cannot start today >&2; exit 9' {listen} {forward}";
    let run = Run::of_text(HARNESS, scenario, &["--proxy", dies]);
    run.expect_code(5)
        .expect_text("cannot start today")
        .expect_text("9");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = tests::Listener::open();
    let output = Command::new(HARNESS)
        .args(["upstream", "foo", "--listen", &taken.addr()])
        .assert()
        .failure()
        .get_output()
        .clone();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains(&taken.addr()) && stderr.contains("in use"),
        "{stderr}"
    );
}

#[test]
fn something_that_runs_already_can_be_measured() {
    // The harness listens there later on.
    let port = ReservedPort::take();
    let forward = port.addr();
    let proxy = Program::start(
        PROXY,
        &["foo", "--listen", "127.0.0.1:0", "--forward", forward],
    );
    let descriptor = format!("addr:{}", proxy.socket("listen"));
    let pid = proxy.pid().to_string();
    let scenario = "[[upstream]]\n[[load]]\nrate = \"500\"\nduration = \"500ms\"\nwarmup = \"0\"\n\
        [[expect]]\nload = \"failed = 0\"\n[[expect]]\nproxy = \"survives\"\n";
    let args = [
        "--proxy",
        &descriptor,
        "--pid",
        &pid,
        "--upstream-listen",
        forward,
    ];
    Run::of_text(HARNESS, scenario, &args).expect_code(0);
}

#[test]
fn a_scenario_with_a_mistake_is_refused_with_file_line_and_key() {
    // The first line is the name.
    let cases = [
        ("[[upstream]]\ncolour = \"red\"\n", ":3", "colour"),
        ("[[upstream]]\n[[load]]\nrate = \"fast\"\n", ":4", "fast"),
        ("[[upstream]]\ndefects = [\"explode\"]\n", ":3", "explode"),
        (
            "[[upstream]]\n[[load]]\nclosed = true\n[[expect]]\nload = \"p50 ! 3\"\n",
            ":6",
            "p50 ! 3",
        ),
        (
            "[[upstream]]\n[[link]]\nname = \"a\"\n",
            ":4",
            "there is no link",
        ),
        ("[[upstream]]\n[[fault]]\nat = \"1s\"\n", ":3", "process"),
        ("[[upstream]\n", ":2", ""),
    ];
    for (text, line, word) in cases {
        let run = Run::of_text(HARNESS, text, &[]);
        run.expect_code(2)
            .expect_text("scenario.toml")
            .expect_text(word);
        assert!(run.stderr.contains(line), "{text}: {}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{text}: {}", run.stderr);
        assert!(!run.file("run.json").exists());
    }
}

#[test]
fn bad_arguments_are_one_line_and_start_nothing() {
    let cases: &[(&[&str], &str)] = &[
        (&["run", "no-such-scenario"], "no-such-scenario"),
        (&["run", "no-such-file.toml"], "no-such-file.toml"),
        (&["run", "latency", "--proxy", "squid"], "squid"),
        (
            &["run", "latency", "--proxy", "cmd:relay {listen}"],
            "{forward}",
        ),
        (&["bench", "--rate", "quick"], "quick"),
        (&["bench", "--expect", "p98<2ms"], "p98"),
        (&["bench", "--expect", "p99<2"], "p99"),
        (&["bench", "--duration", "long"], "long"),
        (&["bench", "--connections", "0"], "0"),
        (
            &["run", "latency", "--proxy", "addr:192.0.2.1:80"],
            "--allow-remote",
        ),
        (&["upstream", "foo", "--defect", "explode"], "explode"),
        (
            &["loadgen", "foo", "--connect", "192.0.2.1:80"],
            "--allow-remote",
        ),
        (
            &["fuzzclient", "foo", "--connect", "192.0.2.1:80"],
            "--allow-remote",
        ),
        (&["report", "no-such-run.json"], "no-such-run.json"),
    ];
    for (args, word) in cases {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(HARNESS);
        let output = command
            .args(*args)
            .current_dir(&directory)
            .assert()
            .code(2)
            .get_output()
            .clone();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(
            stderr.contains(word),
            "{args:?} should mention {word}: {stderr}"
        );
        assert_eq!(
            fs::read_dir(&directory).expect("a directory").count(),
            0,
            "{args:?}"
        );
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["bench", "--help"],
        &["list", "--help"],
        &["report", "--help"],
        &["upstream", "foo", "--help"],
        &["loadgen", "foo", "--help"],
        &["loadgen", "check", "--help"],
        &["fuzzclient", "foo", "--help"],
        &["proxy", "foo", "--help"],
    ] {
        let output = Command::new(HARNESS)
            .args(args)
            .assert()
            .success()
            .get_output()
            .clone();
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            help.contains("Examples:") || help.contains("Example:"),
            "{args:?}: {help}"
        );
    }
}
