//! Running the client.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use fuzzclient::FuzzRecord;

/// The client with a target and flags.
pub(crate) fn command(target: SocketAddr, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzzclient"));
    command.args(["foo", "--connect", &target.to_string()]);
    command.args(flags);
    command
}

/// Runs it in this mode to its end, and reads its record.
pub(crate) fn run_mode(mode: &str, target: SocketAddr, flags: &[&str], code: i32) -> FuzzRecord {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzzclient"))
        .args([mode, "--connect", &target.to_string(), "--json", "-"])
        .args(flags)
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{mode} {flags:?}: {output:?}"
    );
    record(&output)
}

/// Runs it to its end, and reads its record.
pub(crate) fn run(target: SocketAddr, flags: &[&str], code: i32) -> FuzzRecord {
    run_with_input(target, flags, b"", code)
}

/// Runs it to its end with this on stdin, and reads its record.
pub(crate) fn run_with_input(
    target: SocketAddr,
    flags: &[&str],
    stdin: &[u8],
    code: i32,
) -> FuzzRecord {
    let mut child = command(target, flags)
        .args(["--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{flags:?}: {output:?}");
    record(&output)
}

fn record(output: &Output) -> FuzzRecord {
    let json = output.stdout.as_slice();
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}
