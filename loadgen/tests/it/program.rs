//! The program as a process of its own, and what it leaves behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use loadgen::record::LoadRecord;

/// The program with these words as its arguments.
pub(crate) fn loadgen(words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(words.split_whitespace()).stdin(Stdio::null());
    command
}

/// The same with descriptors 3 and 4 going to files.
pub(crate) fn with_descriptors(words: &str, events: &Path, ready: &Path) -> Command {
    let mut command = through_shell(r#"exec "$0" "$@" 3>"$EVENTS" 4>"$READY""#, words);
    command.env("EVENTS", events).env("READY", ready);
    command
}

/// The same with descriptor 3 going to stdout, and nothing else.
pub(crate) fn with_events_on_stdout(words: &str) -> Command {
    through_shell(r#"exec "$0" "$@" 3>&1 >/dev/null"#, words)
}

fn through_shell(script: &str, words: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_loadgen")])
        .args(words.split_whitespace())
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Output {
    command.output().expect("it starts")
}

/// How it ended and what it said.
pub(crate) fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// Where a run may leave things; gone with this.
pub(crate) struct Files {
    _dir: tempfile::TempDir,
    pub(crate) events: PathBuf,
    pub(crate) ready: PathBuf,
    pub(crate) json: PathBuf,
    pub(crate) hlog: PathBuf,
}

pub(crate) fn files() -> Files {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let (events, ready, json, hlog) = (at("events"), at("ready"), at("run.json"), at("run.hlog"));
    Files {
        _dir: dir,
        events,
        ready,
        json,
        hlog,
    }
}

/// The record of a run.
pub(crate) fn record(json: &Path) -> LoadRecord {
    let text = std::fs::read_to_string(json).expect("a record");
    serde_json::from_str(&text).expect("a record that can be read")
}
