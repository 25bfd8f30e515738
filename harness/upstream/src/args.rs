//! The command line.

use std::num::NonZeroUsize;

use clap::{Args, Parser, Subcommand};
use service::addr::HostPort;
use service::logging::LogLevel;
use service::ready::InheritedFd;
use service::units::Size;

use crate::defect::{Defect, Defects};
use crate::examples;
use crate::mode::Mode;
use crate::server::Config;
use crate::statsd::{self, args::Statsd};
use crate::udp::{self, args::UdpEcho};

/// Run a reference server, sound or with planted defects.
#[derive(Debug, Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Upstream {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Foo(Foo),
    Echo(Echo),
    Sink(Sink),
    Source(Source),
    Http(Http),
    Statsd(Statsd),
    UdpEcho(UdpEcho),
}

/// What to run.
#[derive(Debug)]
pub(crate) enum Settled {
    /// A server of connections.
    Connections(Flags, Config),
    /// The sink of statsd lines.
    Statsd(Statsd, statsd::Config),
    /// The echo of datagrams.
    UdpEcho(UdpEcho, udp::Config),
}

/// Answer Foo requests with a digest of their sequence number and data.
///
/// About 12 % of the requests are answered with NAK, decided by the request alone. A line
/// that cannot be decoded is logged and answered with "NAK 0 ERRDECODE"; a line of 64 KiB
/// or more closes its connection. SIGUSR1 writes the counts as one JSON line to stdout,
/// SIGTERM and SIGINT do so and end.
#[derive(Args, Debug)]
#[command(after_help = examples::foo())]
struct Foo {
    #[command(flatten)]
    server: Flags,
}

/// Send every byte back, in order.
///
/// After the client's end everything that is left is sent back, then our side ends.
/// SIGUSR1 writes the counts as one JSON line to stdout, SIGTERM and SIGINT do so and end.
#[derive(Args, Debug)]
#[command(after_help = examples::echo())]
struct Echo {
    #[command(flatten)]
    server: Flags,
}

/// Take everything, count it, and say nothing.
///
/// SIGUSR1 writes the counts as one JSON line to stdout, SIGTERM and SIGINT do so and end.
#[derive(Args, Debug)]
#[command(after_help = examples::sink())]
struct Sink {
    #[command(flatten)]
    server: Flags,

    /// Answer the client's end with the count of its bytes, as 8 bytes, big-endian
    #[arg(long)]
    acknowledge: bool,
}

/// Send bytes that are known from their position, whatever the client says.
///
/// Word i of the stream, 8 bytes little-endian, is m + (i mod 8) * 0xD1B54A32D192ED03,
/// where m is what SplitMix64 with this seed draws as number i / 8, from 0. SIGUSR1 writes
/// the counts as one JSON line to stdout, SIGTERM and SIGINT do so and end.
#[derive(Args, Debug)]
#[command(after_help = examples::source())]
struct Source {
    #[command(flatten)]
    server: Flags,

    /// Send so much to each client and end, such as 10MiB [default: until the client ends]
    #[arg(long, value_name = "SIZE")]
    bytes: Option<Size>,
}

/// Answer HTTP/1.1 requests with as many bytes as they ask for.
///
/// GET /bytes/N answers N bytes of the stream that source sends; POST /bytes/N takes a
/// body first. GET /status/CODE answers with that status, GET / with "ok", POST / with the
/// length of the body, POST /echo with the body. Connections are kept alive and requests
/// may be pipelined; heads are parsed strictly and are 16 KiB at most; bodies need a
/// Content-Length. SIGUSR1 writes the counts as one JSON line to stdout, SIGTERM and
/// SIGINT do so and end.
#[derive(Args, Debug)]
#[command(after_help = examples::http())]
struct Http {
    #[command(flatten)]
    server: Flags,
}

/// What every reference server takes.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// Listen on this address; ":8001" is all interfaces, port 0 any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8001")]
    pub(crate) listen: HostPort,

    /// Plant a defect; may be given several times, see below
    #[arg(long = "defect", value_name = "DEFECT")]
    defects: Vec<Defect>,

    /// Serve with this many threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Choose wrong replies, and what a stream consists of, by this seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Call the server this in its record and its log, to tell several apart
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,

    /// Expect each connection to begin with a PROXY header, version 1 or 2; the record
    /// tells how many did and who the first clients were
    #[arg(long)]
    proxy_protocol: bool,

    /// Announce the socket with one JSON line on this open descriptor
    #[arg(long, value_name = "FD")]
    pub(crate) ready_fd: Option<InheritedFd>,

    /// Log this much to stderr; decode errors are of level error
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    pub(crate) log_level: LogLevel,
}

impl Upstream {
    /// What was asked for.
    ///
    /// # Errors
    /// That a defect makes no sense for this server, and which do.
    pub(crate) fn settle(self) -> Result<Settled, String> {
        let (flags, mode) = match self.command {
            Command::Foo(of_foo) => (of_foo.server, Mode::Foo),
            Command::Echo(echo) => (echo.server, Mode::Echo),
            Command::Sink(sink) => {
                let acknowledge = sink.acknowledge;
                (sink.server, Mode::Sink { acknowledge })
            }
            Command::Source(source) => {
                let bytes = source.bytes.map(|size| size.0);
                (source.server, Mode::Source { bytes })
            }
            Command::Http(http) => (http.server, Mode::Http),
            Command::Statsd(statsd) => {
                let config = statsd.config()?;
                return Ok(Settled::Statsd(statsd, config));
            }
            Command::UdpEcho(echo) => {
                let config = echo.config()?;
                return Ok(Settled::UdpEcho(echo, config));
            }
        };
        for defect in &flags.defects {
            defect.suits(mode.name())?;
        }
        let config = flags.config(mode);
        Ok(Settled::Connections(flags, config))
    }
}

impl Flags {
    fn config(&self, mode: Mode) -> Config {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Config {
            mode,
            name: self.name.clone(),
            proxy_protocol: self.proxy_protocol,
            threads: self.threads.map_or_else(cores, NonZeroUsize::get),
            seed: self.seed,
            defects: Defects::new(&self.defects),
            log_decode_errors: self.log_level != LogLevel::Off,
        }
    }
}

/// A name that can stand in a log line and in an HTTP header.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let is_name = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("expected up to 64 letters, digits, \"-\", \"_\" and \".\"".to_owned())
    }
}
