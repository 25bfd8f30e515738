//! Ends all children if the harness is killed.
//!
//! A small process of its own holds a pipe to the harness. When the pipe closes, it kills
//! the process groups that it was told of. `PDEATHSIG` alone does not do: it is not
//! inherited, so the workers of a foreign proxy would live on.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};

use rustix::process::Signal;

use super::spawn::{THIS_EXECUTABLE, signal_group};

/// The word that makes this executable the guard.
pub const COMMAND: &str = "guard";

/// The harness's end.
#[derive(Debug)]
pub struct Guard {
    process: Child,
    orders: Option<ChildStdin>,
}

impl Guard {
    /// Starts the guard.
    ///
    /// # Errors
    /// That this executable cannot be started again.
    pub fn start() -> io::Result<Self> {
        use std::os::unix::process::CommandExt;
        let mut process = Command::new(THIS_EXECUTABLE)
            .arg0("harness")
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to the terminal's foreground group: the guard must outlive it.
            .process_group(0)
            .spawn()?;
        let orders = process.stdin.take();
        Ok(Self { process, orders })
    }

    /// Has the process group of `pid` killed when the harness goes.
    pub fn watch(&mut self, pid: u32) {
        self.tell('+', pid);
    }

    /// Takes that back: the group is gone, and its number may be another's soon.
    pub fn forget(&mut self, pid: u32) {
        self.tell('-', pid);
    }

    fn tell(&mut self, sign: char, pid: u32) {
        if let Some(orders) = &mut self.orders {
            // Without the guard there still is PDEATHSIG for our direct children.
            let _ = writeln!(orders, "{sign}{pid}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}

/// The guard itself: obeys orders from stdin until it ends, then kills.
pub fn run() -> ExitCode {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        obey(&line, &mut groups);
    }
    for group in groups {
        signal_group(group, Signal::KILL);
    }
    ExitCode::SUCCESS
}

fn obey(order: &str, groups: &mut BTreeSet<u32>) {
    // 0 would be the guard's own group, 1 the system's.
    let group = |text: &str| text.parse::<u32>().ok().filter(|pid| *pid > 1);
    if let Some(pid) = order.strip_prefix('+').and_then(group) {
        groups.insert(pid);
    } else if let Some(pid) = order.strip_prefix('-').and_then(group) {
        groups.remove(&pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        let mut groups = BTreeSet::new();
        for order in ["+100", "+200", "-100", "+1", "+0", "nonsense", "+"] {
            obey(order, &mut groups);
        }
        assert_eq!(groups, BTreeSet::from([200]));
    }
}
