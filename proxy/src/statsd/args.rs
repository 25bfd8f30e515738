//! The command line of `proxy statsd`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use service::addr::HostPort;
use service::logging::LogLevel;
use service::ready::InheritedFd;
use service::units::{Size, parse_duration};

use super::config::NodeAt;
use super::route::RouteArgs;
use super::settings::{OnMalformed, WhenDown};

/// Spread statsd metrics over several statsd servers, each metric always to the same one.
///
/// Which server gets a metric is exactly what the cluster proxy of statsd decides, so that
/// either can take the other's place without a metric changing its server.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Every line is accounted for: received = forwarded + dropped (by reason) + pending. Signals:
  SIGTERM   send everything that has come in, then end
  SIGHUP    read the configuration again: nodes come and go, nothing in flight is lost
  SIGUSR1   print statistics to stdout as one line of JSON

Examples:
  proxy statsd -f config.json
      A file of the statsd cluster proxy or of go-statsd-proxy, as it is. For example:
        { nodes: [ { host: \"10.0.0.1\", port: 8125, adminport: 8126 },
                   { host: \"10.0.0.2\", port: 8125, adminport: 8126 } ],
          host: \"0.0.0.0\", port: 8125, mgmt_port: 8126, checkInterval: 10000 }
  proxy statsd --node 10.0.0.1:8125:8126 --node 10.0.0.2:8125:8126
      The same without a file; the last number is the node's admin port.
  proxy statsd -f config.json --mtu 0
      Each line in a datagram of its own, as before. Otherwise they share datagrams.
  proxy statsd -f config.json --remap hold
      Keep what belongs to a node that is down until it is back.
  proxy statsd route --config config.json some.key
      Where a key goes, and what moves if a node dies.
  echo health | nc -w1 localhost 8126
      Also ping, stats, memstats, status, config, health up, health down, help, quit.
  proxy statsd -f config.json --admin 127.0.0.1:9005 & curl 127.0.0.1:9005/metrics
      Metrics for Prometheus; /state is all that is known, as JSON.

Moving over from `node proxy.js config.js`:
  proxy statsd -f config.js
      Its file, its ring, its management port. New by default: lines share datagrams
      (--mtu 0 does not), and a node that refuses datagrams is left out at once.
Moving over from `go-statsd-proxy -f config.json`:
  proxy statsd -f config.json
      Its file, its flags -f and -d, its stats and memstats. The ring is another: that one
      spread 77 %, 23 %, 0 % over three servers. checkInterval is in milliseconds here."
)]
pub(crate) struct StatsdArgs {
    #[command(subcommand)]
    pub(super) command: Option<StatsdCommand>,

    /// Configuration of either proxy that this one replaces: JSON, JSON5, or JavaScript
    /// that is nothing but one object.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Log more: short for --log-level debug.
    #[arg(short, long)]
    pub(super) debug: bool,

    /// Descriptor to write one JSON line to when ready, naming every open socket.
    #[arg(long, value_name = "FD")]
    pub(super) ready_fd: Option<InheritedFd>,

    #[command(flatten)]
    pub(super) options: Options,
}

/// What else this mode does.
#[derive(Debug, Subcommand)]
pub(super) enum StatsdCommand {
    /// Tell which node keys go to, and what moves if a node dies.
    Route(RouteArgs),
}

/// Flags that go before what the file says.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    /// Where lines go: HOST:PORT[:ADMINPORT]; may be repeated. Takes the place of the
    /// file's nodes. The text HOST:PORT is the node's place on the ring.
    #[arg(long = "node", value_name = "NODE")]
    pub(super) nodes: Vec<NodeAt>,

    /// Address to receive lines on; an empty host means all interfaces.
    /// [default: 0.0.0.0:8125]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) listen: Option<HostPort>,

    /// Address of the management port. [default: 0.0.0.0:8126]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) management: Option<HostPort>,

    /// How lines come: udp, tcp, or both: udp,tcp. [default: udp]
    #[arg(long, value_name = "TRANSPORT", value_delimiter = ',')]
    pub(super) server: Vec<Transport>,

    /// Worker threads, over which senders are spread; each fills datagrams of its own. One carries
    /// millions of lines a second. [default: 1]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) threads: Option<usize>,

    /// Fill datagrams up to this many bytes; 0 sends each line alone.
    #[arg(long, value_name = "BYTES", default_value = "1432", value_parser = mtu)]
    pub(super) mtu: usize,

    /// Longest that a line waits for others to share a datagram with.
    #[arg(long, value_name = "DURATION", default_value = "10ms", value_parser = duration)]
    pub(super) flush: Duration,

    /// What to do with lines that are not statsd. They are counted in either case.
    #[arg(long, value_name = "ACTION", default_value = "forward")]
    pub(super) on_malformed: OnMalformed,

    /// What to do with lines for a node that is down.
    #[arg(long, value_name = "POLICY", default_value = "remap")]
    pub(super) remap: WhenDown,

    /// Lines to keep for each node that is down, with --remap hold.
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = bytes)]
    pub(super) hold_bytes: usize,

    /// Lines that may wait for each node when the system takes no more.
    #[arg(long, value_name = "BYTES", default_value = "4MiB", value_parser = bytes)]
    pub(super) queue_bytes: usize,

    /// Time between health checks of a node; also until a node without an admin port that
    /// has refused datagrams is tried again, and twice as long each time that it refuses
    /// them again. [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    pub(super) check_interval: Option<Duration>,

    /// Time for a node to answer a check. [default: the interval, but 500ms at least and
    /// 2s at most]
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    pub(super) check_timeout: Option<Duration>,

    /// Checks in a row that must pass until a node that is down is up. Each time that its
    /// host refuses datagrams again, twice as many, up to 64 times as many; as few as ever
    /// once it has stayed up for 64 checks.
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    pub(super) rise: u32,

    /// Checks in a row that must fail until a node that is up is down.
    #[arg(long, value_name = "N", default_value = "1", value_parser = count)]
    pub(super) fall: u32,

    /// Name server for nodes given by name. [default: as /etc/resolv.conf says]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) resolver: Option<HostPort>,

    /// Room in the system for datagrams that wait to be received, for each thread.
    #[arg(long, value_name = "BYTES", default_value = "8MiB", value_parser = bytes)]
    pub(super) receive_buffer: usize,

    /// Address to serve /state, /metrics and /healthz on; off if not given.
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) admin: Option<HostPort>,

    /// How much to log on stderr.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: LogLevel,
}

/// How lines come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Transport {
    /// In datagrams.
    Udp,
    /// In streams.
    Tcp,
}

/// The longest payload of an IPv4 datagram.
const MAX_MTU: usize = 65_507;

/// More threads than any machine has cores, and few enough to start.
const MAX_THREADS: usize = 1_024;

/// The longest duration: the clock must be able to say when it is over.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

fn at_least_one(text: &str) -> Result<usize, String> {
    let wanted = || format!("expected a number from 1 to {MAX_THREADS}, got {text:?}");
    let number = text.parse().ok();
    number
        .filter(|n| (1..=MAX_THREADS).contains(n))
        .ok_or_else(wanted)
}

fn count(text: &str) -> Result<u32, String> {
    let wanted = || format!("expected a number of at least 1, got {text:?}");
    text.parse().ok().filter(|n| *n > 0).ok_or_else(wanted)
}

fn bytes(text: &str) -> Result<usize, String> {
    let size: Size = text.parse().map_err(|error| format!("{error}"))?;
    usize::try_from(size.0).map_err(|_| format!("{text} is more than there can be"))
}

fn mtu(text: &str) -> Result<usize, String> {
    bytes(text).ok().filter(|n| *n <= MAX_MTU).ok_or_else(|| {
        format!("expected 0 to {MAX_MTU} bytes, the most that a datagram holds, got {text:?}")
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    if time > LONGEST {
        let most = LONGEST.as_secs() / 3_600;
        return Err(format!("expected a duration up to {most}h, got {text:?}"));
    }
    Ok(time)
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() {
        return Err("expected a duration above 0".to_owned());
    }
    Ok(time)
}
