//! The command line of `proxy foo`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use protocol::foo::{Grammar, MAX_LINE_BYTES};
use service::addr::HostPort;
use service::logging::LogLevel;
use service::ready::InheritedFd;
use service::units::parse_duration;

use super::shield::OnMalformed;
use crate::plane::DriverChoice;

/// Relay the Foo protocol, keep malformed lines from the server, count messages.
///
/// Valid traffic passes byte for byte. A line from a client that is not a valid request
/// never reaches the server unless you say so. SIGUSR1 prints statistics to stdout as one
/// line of JSON; SIGTERM lets open connections finish and prints them once more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  proxy foo --listen :8002 --forward localhost:8001
      Shield a server from garbage: bad lines are answered with NAK 0 ERRDECODE by the
      proxy, in their place among the server's answers.
  proxy foo -listen=:8002 -forward=localhost:8001 2> stderr.logs & kill -USR1 $!
      Go-style flags; print the statistics.
  proxy foo --on-malformed forward ...
      Let everything through, as a plain proxy does. The recorded crash reproduces so.
  proxy foo --admin 127.0.0.1:9002 ... & curl 127.0.0.1:9002/metrics
      Watch it: /stats is the JSON of SIGUSR1, /metrics is for Prometheus, /healthz says ok.")]
pub(crate) struct FooArgs {
    /// Address to listen on; an empty host means all interfaces.
    #[arg(long, value_name = "HOST:PORT", default_value = ":8002")]
    pub(super) listen: HostPort,

    /// Address of the Foo server; an empty host means this machine.
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:8001")]
    pub(super) forward: HostPort,

    /// What to do with a line from a client that is not a valid request.
    #[arg(long, value_name = "ACTION", default_value = "reply")]
    pub(super) on_malformed: OnMalformed,

    /// How strictly lines are read.
    #[arg(long, default_value = "strict")]
    pub(super) grammar: GrammarChoice,

    /// Longest line in bytes, without its newline; a longer one is malformed.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_LINE_BYTES, value_parser = parse_max_line)]
    pub(super) max_line: usize,

    /// Address to serve /stats, /metrics and /healthz on; off if not given.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) admin: Option<HostPort>,

    /// Client connections open at a time; further ones are reset at once.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = at_least_one)]
    pub(super) max_connections: usize,

    /// Time for the server to accept a connection; 0 waits for ever.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = parse_duration)]
    pub(super) connect_timeout: Duration,

    /// Time without a byte after which a connection is closed; 0 keeps it.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    pub(super) idle_timeout: Duration,

    /// Time for open connections to finish after SIGTERM.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(super) grace: Duration,

    /// Worker threads, each with its own event loop; one per core if not given.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) threads: Option<usize>,

    /// How to talk to the kernel.
    #[arg(long, default_value = "auto")]
    pub(super) driver: DriverChoice,

    /// Descriptor to write one JSON line to when ready, naming every open socket.
    #[arg(long, value_name = "FD")]
    pub(super) ready_fd: Option<InheritedFd>,

    /// How much to log on stderr.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: LogLevel,
}

/// How strictly lines are read.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum GrammarChoice {
    /// As the original server's decoder: single spaces, at most three fields.
    Strict,
    /// As the protocol's text: any run of spaces and tabs, and data may hold spaces.
    Spec,
}

impl From<GrammarChoice> for Grammar {
    fn from(choice: GrammarChoice) -> Self {
        match choice {
            GrammarChoice::Strict => Self::Strict,
            GrammarChoice::Spec => Self::Spec,
        }
    }
}

/// The shortest request is `REQ 1`; a line that is longer than a mebibyte has to be held
/// in memory for every connection at the same time.
const MAX_LINE_RANGE: std::ops::RangeInclusive<usize> = 5..=1024 * 1024;

fn parse_max_line(text: &str) -> Result<usize, String> {
    let size: service::units::Size = text.parse().map_err(|error| format!("{error}"))?;
    usize::try_from(size.0)
        .ok()
        .filter(|n| MAX_LINE_RANGE.contains(n))
        .ok_or_else(|| {
            let (least, most) = (MAX_LINE_RANGE.start(), MAX_LINE_RANGE.end());
            format!("expected {least} to {most} bytes, got {text}")
        })
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("expected a number of at least 1, got {text:?}"))
}
