//! The end of a block: a proxy that does not end when it is asked to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Starts a run whose proxy stays when it is asked to end. Once it has been asked, there
/// is the file that is returned.
fn start(directory: &Path) -> (Child, PathBuf) {
    let asked = directory.join("asked");
    let script = directory.join("stubborn.sh");
    let text = format!(
        "trap '' TERM\n'{}' proxy foo --listen \"$1\" --forward \"$2\"\ntouch '{}'\nexec sleep 60\n",
        env!("CARGO_BIN_EXE_harness"),
        asked.display()
    );
    fs::write(&script, text).expect("a script");
    let scenario = format!(
        "name = \"stubborn\"\n[proxy]\ndescriptor = \"cmd:sh {} {{listen}} {{forward}}\"\n[[load]]\n\
         rate = \"200/s\"\nconnections = 2\nthreads = 1\nwarmup = \"0\"\nduration = \"200ms\"\n\
         [[expect]]\nproxy = \"survives\"\n",
        script.display()
    );
    fs::write(directory.join("s.toml"), scenario).expect("a scenario");
    let child = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["run", "s.toml", "--out", "out", "--quiet"])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    (child, asked)
}

fn report(directory: &Path) -> String {
    fs::read_to_string(directory.join("out/report.txt")).expect("a report")
}

#[test]
fn an_interrupt_while_a_block_ends_ends_the_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut child, asked) = start(directory.path());
    let deadline = Instant::now() + Duration::from_secs(30);
    while !asked.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(asked.exists(), "the proxy was never asked to end");
    // The first is remembered, a second means now; should they be seen as one, then the
    // proxy's time to end runs out.
    for _ in 0..2 {
        kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(directory.path().join("out/run.json").exists());
}

#[test]
fn a_proxy_that_has_to_be_killed_did_not_survive() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut child, _) = start(directory.path());
    assert_eq!(child.wait().expect("it ends").code(), Some(4));
    let report = report(directory.path());
    assert!(report.contains("died (SIGKILL)"), "{report}");
}
