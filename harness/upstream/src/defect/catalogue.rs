//! Which defects there are, how they are written, and which servers take them.

use super::Defect;
use crate::mode::Mode;

/// One kind of defect.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What follows the name on a command line, `=` included.
    pub form: &'static str,
    /// The names of the modes that it makes sense for.
    pub modes: &'static [&'static str],
    /// What it does, as the help says it.
    pub about: &'static str,
}

/// Every server of connections.
const ANY: &[&str] = &Mode::NAMES;
const LINES: &[&str] = &["foo"];
const MESSAGES: &[&str] = &["foo", "udp-echo"];
const PARSED: &[&str] = &["foo", "http"];
const ANSWERS: &[&str] = &["foo", "echo", "http", "udp-echo"];
const READS: &[&str] = &["foo", "echo", "sink", "http", "statsd", "udp-echo"];
const SENDS: &[&str] = &["foo", "echo", "source", "http"];
const SENDS_BYTES: &[&str] = &["foo", "echo", "source", "http", "udp-echo"];

/// Every server of connections, and the echo of datagrams.
const ANY_ECHO: &[&str] = &["foo", "echo", "sink", "source", "http", "udp-echo"];
const DATAGRAMS: &[&str] = &["udp-echo"];

/// The sink of statsd lines takes few, since most are about answers.
const STATSD: &[&str] = &["statsd"];
const ACCEPTS: &[&str] = &["foo", "echo", "sink", "source", "http", "statsd"];
const ANY_PORT: &[&str] = &[
    "foo", "echo", "sink", "source", "http", "statsd", "udp-echo",
];

const fn entry(
    name: &'static str,
    form: &'static str,
    modes: &'static [&'static str],
    about: &'static str,
) -> Entry {
    Entry {
        name,
        form,
        modes,
        about,
    }
}

/// Every kind of defect.
#[rustfmt::skip]
pub const ALL: [Entry; 30] = [
    entry("segfault-after-decode-errors", "=N", PARSED, "SIGSEGV at the Nth line or head that cannot be decoded"),
    entry("segfault-after-bytes", "=BYTES", ANY_ECHO, "SIGSEGV once so much was read and written in all"),
    entry("abort-on-line", "=BYTES", LINES, "SIGABRT at a line that holds BYTES (\\xNN, \\r, \\t, \\\\ work)"),
    entry("abort-on-long-line", "=BYTES", LINES, "SIGABRT as soon as a line has BYTES, its newline apart (64KiB at most)"),
    entry("panic-on-invalid-utf8", "", LINES, "exit 101 at a line that is not UTF-8"),
    entry("exit-after", "=N", ANY, "exit 1 as the Nth connection is accepted"),
    entry("hang-after", "=N", ANY_ECHO, "after N messages nothing is read or answered ever again"),
    entry("freeze", "=DURATION@PERIOD", ANY_ECHO, "stop for DURATION once in every PERIOD"),
    entry("slow", "=DURATION", ANY_ECHO, "delay each answer; pipelined ones do not add up"),
    entry("slow-reader", "=BYTES/s", READS, "read from each client (statsd, udp-echo: all datagrams) at this rate"),
    entry("slow-writer", "=BYTES/s", SENDS, "write to each client at this rate"),
    entry("late-reply", "=DURATION", ANY, "hold the last answers (up to 128 KiB), and the end of the connection, back until DURATION after the client's end"),
    entry("wrong-reply", "=[KIND:]1/N", MESSAGES, "every Nth answer is wrong; KIND is swapped, duplicated, corrupted, stale or dropped, otherwise the first four take turns (swapped needs pipelined requests)"),
    entry("corrupt-byte", "=1/N", SENDS_BYTES, "every Nth byte sent has a bit flipped"),
    entry("drop-byte", "=1/N", SENDS, "every Nth byte is not sent"),
    entry("duplicate-byte", "=1/N", SENDS, "every Nth byte is sent twice"),
    entry("wrong-connection", "=1/N", ANSWERS, "every Nth answer goes to another client, if there is one on the same thread"),
    entry("wrong-port", "=1/N", DATAGRAMS, "every Nth answer leaves from another port"),
    entry("silence", "", DATAGRAMS, "read everything and answer nothing"),
    entry("leak-memory", "=BYTES", ANY_ECHO, "keep this much more memory with every message"),
    entry("leak-descriptors", "", ANY, "keep one more descriptor open with every connection"),
    entry("leak-threads", "", ANY, "keep one more thread with every connection"),
    entry("accept-then-close", "", ACCEPTS, "accept connections (statsd: for management) and close them at once"),
    entry("accept-then-silence", "", ANY, "accept connections and neither read nor answer nor close"),
    entry("stop-accepting", "=N", ANY, "after N connections none is accepted; the port stays open"),
    entry("reset-after", "=BYTES", ANY, "reset each connection when so much was sent on it (by a sink: received)"),
    entry("reset-midway", "=1/N", ANY, "reset every Nth connection when half of its first answer was sent (by a sink: at its first read)"),
    entry("flap", "=UP/DOWN", ANY_PORT, "open the port for UP, close it and reset all connections for DOWN, again and again"),
    entry("silent-health", "", STATSD, "take the commands of the management port and answer none"),
    entry("health-down", "", STATSD, "answer health with \"health: down\""),
];

impl Entry {
    /// As it is written on a command line.
    #[must_use]
    pub fn usage(&self) -> String {
        format!("{}{}", self.name, self.form)
    }
}

/// The usages of those that `mode` takes, or of all, for a sentence.
pub(crate) fn usages(mode: Option<&str>) -> String {
    let taken = ALL
        .iter()
        .filter(|entry| mode.is_none_or(|mode| entry.modes.contains(&mode)));
    taken.map(Entry::usage).collect::<Vec<_>>().join(", ")
}

impl Defect {
    /// Whether this defect makes sense for servers of this mode (`echo`).
    ///
    /// # Errors
    /// That it does not, and which do.
    pub fn suits(&self, mode: &str) -> Result<(), String> {
        let name = self.name();
        let entry = ALL.iter().find(|entry| entry.name == name);
        if entry.is_some_and(|entry| entry.modes.contains(&mode)) {
            return Ok(());
        }
        Err(format!(
            "defect {name} makes no sense for {mode}, expected one of {}",
            usages(Some(mode))
        ))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SegfaultAfterDecodeErrors(_) => "segfault-after-decode-errors",
            Self::SegfaultAfterBytes(_) => "segfault-after-bytes",
            Self::AbortOnLine(_) => "abort-on-line",
            Self::AbortOnLongLine(_) => "abort-on-long-line",
            Self::PanicOnInvalidUtf8 => "panic-on-invalid-utf8",
            Self::ExitAfter(_) => "exit-after",
            Self::HangAfter(_) => "hang-after",
            Self::Freeze(_) => "freeze",
            Self::Slow(_) => "slow",
            Self::SlowReader(_) => "slow-reader",
            Self::SlowWriter(_) => "slow-writer",
            Self::LateReply(_) => "late-reply",
            Self::WrongReply(_) => "wrong-reply",
            Self::CorruptByte(_) => "corrupt-byte",
            Self::DropByte(_) => "drop-byte",
            Self::DuplicateByte(_) => "duplicate-byte",
            Self::WrongConnection(_) => "wrong-connection",
            Self::WrongPort(_) => "wrong-port",
            Self::Silence => "silence",
            Self::LeakMemory(_) => "leak-memory",
            Self::LeakDescriptors => "leak-descriptors",
            Self::LeakThreads => "leak-threads",
            Self::AcceptThenClose => "accept-then-close",
            Self::AcceptThenSilence => "accept-then-silence",
            Self::StopAccepting(_) => "stop-accepting",
            Self::ResetAfter(_) => "reset-after",
            Self::ResetMidway(_) => "reset-midway",
            Self::Flap(_) => "flap",
            Self::SilentHealth => "silent-health",
            Self::HealthDown => "health-down",
        }
    }
}
