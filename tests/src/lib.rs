//! What the end-to-end tests share: starting real programs and talking to them.
//!
//! [`program`] runs a program and ends it whatever happens; [`peer`] is the other end of
//! a connection, with deadlines; [`proc`] reads what the kernel knows of a process.
//!
//! Nothing here reaches into the programs: tests see what a user sees.

pub mod peer;
pub mod proc;
pub mod program;

pub use peer::{Listener, Peer};
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
