//! The program: one line for bad input, and a run file whatever happens around it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use report::run::RunFile;

fn harness(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(args).stdin(Stdio::null());
    command
}

fn short_scenario(directory: &Path) -> String {
    let path = directory.join("short.toml");
    let text = "name = \"short\"\n[[load]]\nrate = \"200/s\"\nconnections = 2\nthreads = 1\n\
                warmup = \"0\"\nduration = \"200ms\"\n[[expect]]\nupstream = \"survives\"\n";
    fs::write(&path, text).expect("a scenario");
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn run_file(out: &Path) -> RunFile {
    let text = fs::read_to_string(out.join("run.json")).expect("a run file");
    serde_json::from_str(&text).expect("a run file that can be read")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> = entries
        .map(|entry| {
            let name = entry.expect("an entry").file_name();
            name.to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_the_users_stays_and_nobody_needs_to_watch() {
    let directory = tempfile::tempdir().expect("a directory");
    let scenario = short_scenario(directory.path());
    let out = directory.path().join("out");
    fs::create_dir_all(out.join("scratch")).expect("a directory");
    fs::write(out.join("scratch/mine"), "mine").expect("a file");
    fs::write(out.join("run.json"), "of an earlier run").expect("a file");
    // Pipes whose readers are gone before it starts.
    let gone = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer
    };
    let shown = out.to_str().expect("a path in UTF-8");
    // Our upstream listens everywhere, which is no address to connect to.
    let args = ["run", &scenario, "--out", shown, "--upstream-listen", ":0"];
    let status = harness(&args)
        .stdout(gone())
        .stderr(gone())
        .status()
        .expect("it starts");
    let run = run_file(&out);
    assert_eq!(
        status.code(),
        Some(run.exit_code.into()),
        "{status}: {run:?}"
    );
    assert!(run.exit_code != 5, "{run:?}");
    assert_eq!(
        fs::read_to_string(out.join("scratch/mine")).expect("it stays"),
        "mine"
    );
    assert_eq!(
        names(&out),
        [
            "events.jsonl",
            "junit.xml",
            "report.html",
            "report.md",
            "report.txt",
            "run.json",
            "scratch"
        ]
    );
}

fn assert_refused(args: &[&str], says: &str, directory: &Path) {
    let output: Output = harness(args)
        .current_dir(directory)
        .output()
        .expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert!(stderr.contains(says), "{args:?}: {stderr}");
    assert!(!directory.join(".harness").exists(), "{args:?}");
}

#[test]
fn what_cannot_be_carried_out_is_refused_in_one_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let scenario = short_scenario(directory.path());
    let cases: &[(&[&str], &str)] = &[
        (
            &["bench", "--pipeline", "10001"],
            "--pipeline: expected at most 10000",
        ),
        (
            &["bench", "--threads", "65"],
            "--threads: expected at most one for each",
        ),
        (
            &["bench", "--connections", "4000000000"],
            "--connections: expected at most",
        ),
        (&["bench", "--duration", "0"], "--duration: expected more"),
        (
            &["bench", "--timeout", "0"],
            "timeout: expected more than 0",
        ),
        (
            &["bench", "--timeout", "1s"],
            "timeout: 1s is too short: load \"load\" takes",
        ),
        (&["bench", "--duration", "5000000000h"], "timeout"),
        (
            &["run", &scenario, "--timeout", "100ms"],
            "scenario \"short\": timeout: 100ms is too short",
        ),
        (&["run", &scenario, "--pid", "1"], "addr:HOST:PORT"),
    ];
    for (args, says) in cases {
        assert_refused(args, says, directory.path());
    }
    let with_args = directory.path().join("args.toml");
    fs::write(
        &with_args,
        "name = \"args\"\n[proxy]\ndescriptor = \"nginx\"\nargs = [\"-x\"]\n[[load]]\nrate = \"1k/s\"\n",
    )
    .expect("a scenario");
    assert_refused(&["run", "args.toml"], "proxy.args", directory.path());
}
