//! What the end-to-end tests share: starting real programs and talking to them.
//!
//! [`program`] runs a program and ends it whatever happens; [`admin`] asks it how it is;
//! [`dns`] is a name server that says what the test wants; [`peer`] is the other end of
//! a connection, with deadlines; [`port`] is where nobody listens; [`proc`] reads what the
//! kernel knows of a process; [`scenario`] runs the harness and looks at what it left
//! behind.
//!
//! Nothing here reaches into the programs: tests see what a user sees.

pub mod admin;
pub mod dns;
pub mod peer;
pub mod port;
pub mod proc;
pub mod program;
pub mod scenario;

pub use peer::{Listener, Peer};
pub use port::ReservedPort;
pub use program::Program;

use std::time::Duration;

/// Longest that a test waits for something that should happen at once. Generous: the
/// machine may be busy, and a passing test never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Calls `check` until it gives something, or fails with `what` after [`DEADLINE`].
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "still waiting after {DEADLINE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether an optional program is there; says so when it is not. Where
/// `HARNESS_TEST_PEERS` is `required`, as in CI, it must be. Envoy is also where
/// `HARNESS_ENVOY` says, as for the harness.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .chain(["/usr/sbin".into()])
        .map(|directory| directory.join(program))
        .chain(
            std::env::var_os("HARNESS_ENVOY")
                .map(Into::into)
                .filter(|_| program == "envoy"),
        )
        .any(|file| file.is_file());
    let required = std::env::var_os("HARNESS_TEST_PEERS").is_some_and(|value| value == "required");
    assert!(
        found || !required,
        "{program} is not installed, and is required here"
    );
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}
