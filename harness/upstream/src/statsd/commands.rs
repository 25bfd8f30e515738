//! What the management port understands: one command per line, as statsd's.

use std::io::Write;
use std::time::Duration;

/// The longest command. None of a line's worth of text is one.
pub(super) const LONGEST: usize = 1_024;

/// What the port tells about the sink.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) uptime: Duration,
    /// Since the last datagram or line.
    pub(super) quiet: Duration,
    pub(super) datagrams: u64,
    pub(super) lines: u64,
    pub(super) malformed: u64,
    pub(super) kernel_drops: Option<u64>,
}

/// A command that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Is it up? With an answer that it is to give from now on.
    Health(Option<bool>),
    Ping,
    Stats,
    Help,
    Quit,
}

impl Command {
    /// Reads a line, whose end may be missing.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        let mut words = text.split_ascii_whitespace();
        let (command, argument) = (words.next()?, words.next());
        Some(match command {
            "health" => Self::Health(argument.and_then(|word| {
                let is = |state| word.eq_ignore_ascii_case(state);
                (is("up") || is("down")).then(|| is("up"))
            })),
            "ping" => Self::Ping,
            "stats" => Self::Stats,
            "help" => Self::Help,
            "quit" => Self::Quit,
            _ => return None,
        })
    }

    /// Writes the answer. `healthy` is what it says of itself.
    pub(super) fn answer(self, healthy: bool, facts: &Facts, out: &mut Vec<u8>) {
        let written = match self {
            Self::Health(_) => {
                let state = if healthy { "up" } else { "down" };
                writeln!(out, "health: {state}")
            }
            Self::Ping => writeln!(out, "pong"),
            Self::Help => writeln!(out, "Commands: health [up|down], help, ping, quit, stats\n"),
            Self::Stats => facts.write(out),
            Self::Quit => Ok(()),
        };
        written.expect("a vector takes everything");
    }
}

/// What everything else is answered with.
pub(super) const UNKNOWN: &[u8] = b"ERROR\n";

impl Facts {
    /// Under the names that statsd has for them, then our own.
    fn write(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        writeln!(out, "uptime: {}", self.uptime.as_secs())?;
        writeln!(out, "messages.last_msg_seen: {}", self.quiet.as_secs())?;
        writeln!(out, "messages.bad_lines_seen: {}", self.malformed)?;
        writeln!(out, "sink.datagrams: {}", self.datagrams)?;
        writeln!(out, "sink.lines: {}", self.lines)?;
        if let Some(drops) = self.kernel_drops {
            writeln!(out, "sink.kernel_drops: {drops}")?;
        }
        writeln!(out, "END\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_answers() {
        let facts = Facts {
            uptime: Duration::from_millis(3_999),
            quiet: Duration::from_secs(1),
            datagrams: 4,
            lines: 9,
            malformed: 1,
            kernel_drops: Some(2),
        };
        let cases = [
            ("health\r", Some("health: up\n")),
            (" health  down", Some("health: up\n")),
            ("ping", Some("pong\n")),
            (
                "stats",
                Some(
                    "uptime: 3\nmessages.last_msg_seen: 1\nmessages.bad_lines_seen: 1\n\
                     sink.datagrams: 4\nsink.lines: 9\nsink.kernel_drops: 2\nEND\n\n",
                ),
            ),
            ("quit", Some("")),
            ("", None),
            ("healthy", None),
            ("HEALTH", None),
        ];
        for (line, expected) in cases {
            let answer = Command::of(line.as_bytes()).map(|command| {
                let mut out = Vec::new();
                command.answer(true, &facts, &mut out);
                String::from_utf8(out).unwrap()
            });
            assert_eq!(answer.as_deref(), expected, "{line:?}");
        }
        assert_eq!(Command::of(b"\xff"), None);
        assert_eq!(
            Command::of(b"health DOWN"),
            Some(Command::Health(Some(false)))
        );
        assert_eq!(Command::of(b"health ok"), Some(Command::Health(None)));
    }
}
