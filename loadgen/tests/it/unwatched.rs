//! The program when nobody reads what it prints.

use std::process::{Command, Stdio};

use crate::server::serve_rightly;
use loadgen::record::LoadRecord;

/// The end of a pipe whose reader is gone.
fn unread() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer
}

#[test]
fn nobody_reading_stderr_and_stdout_does_not_end_a_run() {
    let target = serve_rightly().to_string();
    let directory = tempfile::tempdir().expect("a directory");
    let json = directory.path().join("run.json");
    let status = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .args(["foo", "--connect", &target, "--requests", "20"])
        .args(["--rate", "1k/s", "--json"])
        .arg(&json)
        .stdin(Stdio::null())
        .stdout(unread())
        .stderr(unread())
        .status()
        .expect("it starts");
    // Only the machine may be at fault: 3 says that the run is not valid.
    assert!(matches!(status.code(), Some(0 | 3)), "{status}");
    let text = std::fs::read_to_string(&json).expect("a record");
    let record: LoadRecord = serde_json::from_str(&text).expect("a record that can be read");
    assert_eq!(record.counts.sent, 20);
}
