//! One child: what it is, what has come out of it, how it ended.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use report::event::{Exit, Role, Target};
use rustix::process::Signal;

use super::drain::Drain;
use super::spawn::{Spec, signal_group};

/// A child of the harness.
#[derive(Debug)]
pub struct Child {
    /// Its part.
    pub role: Role,
    /// Its name among those of its part.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// Its process group: its own, or that of a process whose successor it is.
    pub group: u32,
    /// What it was started with, if it can be started again.
    pub spec: Option<Spec>,
    /// Where it aims, if it is a client.
    pub target: Target,
    /// Where it leaves its record, if it is a client.
    pub record: Option<PathBuf>,
    /// Its stdout.
    pub stdout: Drain,
    /// Its stderr.
    pub stderr: Drain,
    /// Its sockets by role, once it has said so.
    pub sockets: Option<BTreeMap<String, String>>,
    /// Whether it closed its readiness descriptor without a word.
    pub is_mute: bool,
    /// Whether it may still have something to say on `--events-fd`.
    pub is_talking: bool,
    /// How it ended, while what it said before has not been heard to its end.
    pub pending: Option<ExitStatus>,
    /// Whether the harness has asked it to end.
    pub asked: bool,
    /// Whether it says nothing about it that it had to be killed: somebody was in a hurry,
    /// or it was known to hang.
    pub may_be_killed: bool,
    /// How it ended.
    pub status: Option<ExitStatus>,
    /// Whether nobody is surprised that it ended: another was started in its place, because
    /// its port was taken, or a fault ended it.
    pub is_replaced: bool,
    /// CPU time of its process tree when it was last looked at.
    pub cpu_ns: u64,
}

impl Child {
    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status.is_none()
    }

    /// Asks it to end, or insists.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running() {
            self.asked = true;
            signal_group(self.group, signal);
        }
    }

    /// Ends it as a fault does, and surprises nobody with that.
    pub fn end_on_purpose(&mut self, signal: Signal) {
        self.may_be_killed = true;
        self.is_replaced = true;
        self.signal(signal);
    }

    /// How it ended, once it has and its pipes are empty.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let signal = self.status.and_then(|status| status.signal());
        let code = self.status.and_then(|status| status.code());
        Exit {
            asked: self.asked && is_as_asked(signal, code, self.may_be_killed),
            signal: signal.map(signal_name),
            code,
            stderr_tail: self.stderr.output(super::drain::Output::last_lines),
            stderr_lines: self.stderr.output(|output| output.lines),
            decode_errors: self.stderr.output(|output| output.decode_errors),
        }
    }

    /// What it said last, on one line, for messages.
    #[must_use]
    pub fn last_words(&self) -> String {
        let lines = self.stderr.output(super::drain::Output::last_lines);
        let from = lines.len().saturating_sub(3);
        if lines.is_empty() {
            "nothing on stderr".to_owned()
        } else {
            format!("stderr: {}", lines[from..].join(" | "))
        }
    }
}

/// The exit code of a Rust program that panicked.
const PANICKED: i32 = 101;

/// Whether this is how a process ends that was asked to end, and not a finding of its
/// own: a crash on the way out, or an end that had to be forced.
fn is_as_asked(signal: Option<i32>, code: Option<i32>, may_be_killed: bool) -> bool {
    match signal {
        Some(signal) if signal == Signal::KILL.as_raw() => may_be_killed,
        Some(signal) => !is_crash(signal),
        None => code != Some(PANICKED),
    }
}

/// Signals that nobody sends in order to end a process.
fn is_crash(signal: i32) -> bool {
    [
        Signal::SEGV,
        Signal::ABORT,
        Signal::BUS,
        Signal::ILL,
        Signal::FPE,
        Signal::TRAP,
        Signal::SYS,
    ]
    .into_iter()
    .any(|crash| crash.as_raw() == signal)
}

/// `SIGSEGV` for 11.
#[must_use]
pub fn signal_name(number: i32) -> String {
    const NAMES: [(Signal, &str); 15] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::TERM, "SIGTERM"),
        (Signal::SYS, "SIGSYS"),
    ];
    NAMES
        .into_iter()
        .find(|(signal, _)| signal.as_raw() == number)
        .map_or_else(|| format!("signal {number}"), |(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(11), "SIGSEGV");
        assert_eq!(signal_name(6), "SIGABRT");
        assert_eq!(signal_name(63), "signal 63");
        assert!(is_crash(11) && !is_crash(15));
    }

    #[test]
    fn a_crash_on_the_way_out_is_not_what_was_asked_for() {
        for code in [0, 1, 130, 143] {
            assert!(is_as_asked(None, Some(code), false), "{code}");
        }
        assert!(!is_as_asked(None, Some(101), false));
        let [term, kill] = [Signal::TERM, Signal::KILL].map(Signal::as_raw);
        assert!(is_as_asked(Some(term), None, false));
        assert!(!is_as_asked(Some(kill), None, false), "it did not listen");
        assert!(is_as_asked(Some(kill), None, true));
        for crash in [Signal::SEGV, Signal::ABORT, Signal::TRAP, Signal::SYS] {
            assert!(!is_as_asked(Some(crash.as_raw()), None, true), "{crash:?}");
        }
    }
}
