//! The published clients, unchanged: `toxiproxy-node-client` of npm and
//! `toxiproxy-python` of PyPI. Where they are not installed the tests say so.

use std::process::{Command, Output};

use tests::Listener;

use super::started::Toxics;

/// Runs a script of a client's with the addresses of the API and of an upstream. 77 from
/// it means that the client is not there.
fn run(mut command: Command, toxics: &Toxics, what: &str) {
    let upstream = Listener::open();
    command.arg(toxics.api()).arg(upstream.addr());
    let outcome = command.output();
    let required = std::env::var_os("HARNESS_TEST_PEERS").is_some_and(|value| value == "required");
    let is_missing = |output: &Output| output.status.code() == Some(77);
    match outcome {
        Ok(output) if !is_missing(&output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && text.ends_with("done\n"),
                "{command:?}: {}\n{text}\n{errors}",
                output.status
            );
        }
        _ => {
            assert!(!required, "{what} is not installed, and is required here");
            eprintln!("SKIPPED: {what} is not installed");
        }
    }
}

#[test]
fn node() {
    let mut command = Command::new("node");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/toxics/client.js");
    // Where npm puts what is installed for all.
    let roots = ["/usr/lib/node_modules", "/usr/local/lib/node_modules"];
    let mut path = std::env::var("NODE_PATH").unwrap_or_default();
    for root in roots {
        path = format!("{path}:{root}");
    }
    command.arg(script).env("NODE_PATH", path);
    run(command, &Toxics::start(), "toxiproxy-node-client (npm)");
}

#[test]
fn python() {
    let python = std::env::var("HARNESS_TEST_PYTHON");
    let mut command = Command::new(python.as_deref().unwrap_or("python3"));
    command.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/toxics/client.py"
    ));
    run(command, &Toxics::start(), "toxiproxy-python (PyPI)");
}
