//! `harness report`: what it writes from a run file, and what it refuses.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");

/// A run file of the first version.
const V1: &str = include_str!("../../harness/report/tests/data/run-v1.json");

/// Runs `harness report` in this directory.
fn report(directory: &TempDir, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(HARNESS);
    command
        .arg("report")
        .args(args)
        .current_dir(directory.path());
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the harness");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let code = status
        .code()
        .unwrap_or_else(|| panic!("{command:?}: {status}"));
    (code, text(stdout), text(stderr))
}

fn with_run(text: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("run.json"), text).expect("a file");
    directory
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn every_form_is_written_beside_the_run_file_and_named() {
    let directory = with_run(V1);
    let all = [
        "--html",
        "--markdown",
        "--junit",
        "--csv",
        "--hgrm",
        "--hlog",
    ];
    let (code, stdout, stderr) = report(&directory, &[&["run.json"], &all[..]].concat());
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let mut written: Vec<&str> = stdout
        .lines()
        .map(|line| line.strip_prefix("wrote ").expect("the name of a file"))
        .collect();
    written.push("run.json");
    written.sort_unstable();
    assert_eq!(names(directory.path()), written);
    assert!(written.contains(&"report.html") && written.contains(&"latency.direct.load.hgrm"));
}

#[test]
fn a_place_can_be_named_and_stdout_is_one() {
    let directory = with_run(V1);
    let at = directory.path().join("pages/a.html");
    let html = format!("--html={}", at.display());
    let (code, stdout, stderr) = report(&directory, &[".", &html, "--markdown=-", "--hgrm=h"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("## "), "{stdout}");
    assert!(
        stderr.contains("wrote ") && stderr.contains("a.html"),
        "{stderr}"
    );
    assert!(
        fs::read_to_string(&at)
            .expect("the page")
            .ends_with("</html>\n")
    );
    assert_eq!(names(&directory.path().join("h")).len(), 4);
    let (code, stdout, _) = report(&directory, &["."]);
    assert!(code == 0 && stdout.contains("VERDICTS"), "{stdout}");
}

#[test]
fn what_cannot_be_read_is_refused_in_one_line_and_nothing_is_written() {
    let cut = &V1[..V1.len() / 2];
    let newer = V1.replacen("\"schema_version\":1,", "\"schema_version\":99,", 1);
    for (text, says) in [
        (cut, "run.json is cut short"),
        ("not at all", "run.json is not a run file"),
        (newer.as_str(), "schema_version 99 is newer than"),
    ] {
        let directory = with_run(text);
        let (code, stdout, stderr) = report(&directory, &["run.json", "--html", "--hgrm"]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
        assert_eq!(names(directory.path()), ["run.json"]);
    }
    let directory = with_run(V1);
    for args in [["--html=-", "--csv=-"], ["--hgrm=-", "--html"]] {
        let (code, stdout, stderr) = report(&directory, &[&["."], &args[..]].concat());
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert_eq!(names(directory.path()), ["run.json"]);
    }
}

#[test]
fn a_reader_of_another_make_understands_the_log() {
    let python = std::env::var("HARNESS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let directory = with_run(V1);
    let (code, _, stderr) = report(&directory, &[".", "--hlog"]);
    assert_eq!(code, 0, "{stderr}");
    let script = "
import sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 3600000000000, 3))
while True:
    one = reader.get_next_interval_histogram()
    if one is None:
        break
    print(one.get_tag(), one.get_total_count())
";
    let output = Command::new(&python)
        .args(["-c", script])
        .arg(directory.path().join("report.hlog"))
        .output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{python} has no hdrhistogram, which CI must have"
        );
        eprintln!("SKIPPED: {python} has no hdrhistogram (pip install hdrhistogram)");
        return;
    };
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let first = said.lines().next().expect("a histogram");
    assert_eq!(first, "latency.builtin.load 1500");
    assert!(said.contains("crash-shield.builtin.valid 100"), "{said}");
}
