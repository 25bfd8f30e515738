//! The command line of `loadgen statsd`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use service::addr::HostPort;
use service::units::{format_duration, parse_duration};

use super::{OutputArgs, RateArg, ShardArgs};
use crate::pacer::PacerChoice;
use crate::schedule::Arrivals;
use crate::statsd::{Popularity, Type};

const STATSD_EXAMPLES: &str = "\
Examples:
  10,000 lines/s for 10 s, each in a datagram of its own:
    loadgen statsd --connect localhost:8125
  A million lines/s in full datagrams:
    loadgen statsd --connect localhost:8125 --rate 1M/s --lines-per-datagram full
  As many as the socket takes, 100,000 keys of which few are popular:
    loadgen statsd --connect localhost:8125 --max --keys 100k --popularity zipf:1.1
  20,000 lines at once, every second:
    loadgen statsd --connect localhost:8125 --burst 20k@1s
  All types, DogStatsD tags, over TCP:
    loadgen statsd --connect localhost:8125 --transport tcp --types c,g,ms,h,s,d --tags env:test
  10 million/s from an indexed Job of Kubernetes with eight completions:
    loadgen statsd --connect proxy.example:8125 --allow-remote --rate 10M/s --seed 1 \\
      --shard auto/8 --start-at $START --out /shared/run

Line n of a run is PREFIX.kKEY:n|TYPE, such as load.k017:4711|c: its value is its number, so
that whoever receives lines can tell which are missing. Nobody answers a line: no latency is
claimed but send lag, how late this client came to a due datagram.

Exit codes: 0 every line was handed to the system; 1 some were not, or came back; 2 usage;
3 the run is invalid, its figures mean nothing; 130 or 143 interrupted.";

/// The arguments of `loadgen statsd`.
#[derive(Clone, Debug, Args)]
#[command(after_help = STATSD_EXAMPLES, allow_negative_numbers = true)]
pub struct StatsdArgs {
    /// Send to this address: HOST:PORT, or :PORT for this machine
    #[arg(long, value_name = "ADDR")]
    pub connect: HostPort,

    /// Send this many lines per second, such as 500 or 20k/s, or `max` for as many as the
    /// socket takes [default: 10k/s]
    #[arg(long, value_name = "RATE|max", conflicts_with_all = ["max", "burst"])]
    pub rate: Option<RateArg>,

    /// Send as many lines as the socket takes: the same as --rate max
    #[arg(long, conflicts_with = "burst")]
    pub max: bool,

    /// Send this many lines at once, and again each time the interval is over, such as
    /// 20k@1s
    #[arg(long, value_name = "N@TIME")]
    pub burst: Option<BurstArg>,

    /// Send over this
    #[arg(long, value_enum, value_name = "HOW", default_value = "udp")]
    pub transport: WayArg,

    /// Put this many lines in a datagram; `full` for as many as --mtu has room for. Over
    /// TCP so many are due together
    #[arg(long, value_name = "N|full", default_value = "1")]
    pub lines_per_datagram: PackArg,

    /// Make no datagram longer than this: lines that do not fit go in the next
    #[arg(long, value_name = "BYTES", default_value_t = 1432)]
    pub mtu: usize,

    /// Send this many lines
    #[arg(long, value_name = "N", alias = "requests", value_parser = count)]
    pub lines: Option<u64>,

    /// Use this many distinct keys, such as 1000 or 100k
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count)]
    pub keys: u64,

    /// Use all keys equally often, or key k in proportion to 1/(k+1)^S
    #[arg(long, value_name = "uniform|zipf:S", default_value = "uniform")]
    pub popularity: Popularity,

    /// Give lines these types in turn: c, g, ms, h, s, d
    #[arg(
        long,
        value_name = "TYPE,…",
        value_delimiter = ',',
        default_value = "c"
    )]
    pub types: Vec<Type>,

    /// Say on each line that it is sampled at this rate, such as 0.1; gauges and sets have
    /// none. No line is left out for it
    #[arg(long, value_name = "RATE")]
    pub sample_rate: Option<f64>,

    /// Put these DogStatsD tags on each line, such as env:test,host:a
    #[arg(long, value_name = "TAG,…", value_delimiter = ',')]
    pub tags: Vec<String>,

    /// Begin all keys with this and a dot: the sender's name, of which each load client
    /// needs its own
    #[arg(long, value_name = "NAME", default_value = "load")]
    pub prefix: String,

    /// Send from this many sockets, or connections, in turn [default: one per thread]
    #[arg(long, value_name = "N")]
    pub connections: Option<usize>,

    /// Hand over datagrams of one size in one piece that the kernel cuts up (UDP_SEGMENT),
    /// where that can be done
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto")]
    pub segmentation: SegmentationArg,

    /// Measure for this long [default: 10s, 10m if --lines is given]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Send for this long before measuring [default: 1s, 0 if --lines is given]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub warmup: Option<Duration>,

    /// Report the run in slices of this length, at least 10ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub interval: Duration,

    /// Spread datagrams over time at fixed gaps, or at random ones as independent senders
    /// do [default: uniform]
    #[arg(long, value_enum, value_name = "HOW")]
    pub arrivals: Option<Arrivals>,

    /// Wait for due datagrams by sleeping, by sleeping until 60 µs before and then
    /// polling (hybrid), or by polling (spin) [default: auto: hybrid if a core is left]
    #[arg(long, value_enum, value_name = "HOW")]
    pub pacer: Option<PacerChoice>,

    /// Derive all randomness from this number [default: a random one, reported]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Use this many worker threads [default: one per core with --max; at a rate one per
    /// 1M/s, at most one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Go on this long at the end with what is due and not yet written
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub drain: Duration,

    /// TCP: give up a connection that is not open after this time
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub connect_timeout: Duration,

    /// Where it goes, and where its record goes.
    #[command(flatten)]
    pub outputs: OutputArgs,

    /// Whether other machines send the rest.
    #[command(flatten)]
    pub shard: ShardArgs,
}

/// `--transport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum WayArg {
    /// Datagrams.
    Udp,
    /// Streams, each line ended by a newline.
    Tcp,
}

impl WayArg {
    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// `--segmentation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SegmentationArg {
    /// Where it can be done.
    Auto,
    /// Never: each datagram is handed over by itself.
    Off,
}

/// `--lines-per-datagram`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackArg {
    /// This many.
    Lines(u64),
    /// As many as there is room for.
    Full,
}

impl FromStr for PackArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("full", _) => Ok(Self::Full),
            (_, Ok(lines @ 1..=65_535)) => Ok(Self::Lines(lines)),
            _ => Err(format!(
                "expected a number from 1 to 65535, or full, got {text:?}"
            )),
        }
    }
}

/// `--burst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurstArg {
    /// Lines at once.
    pub lines: u64,
    /// From one burst to the next.
    pub every: Duration,
}

impl FromStr for BurstArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('@').and_then(|(lines, every)| {
            let (lines, every) = (count(lines).ok()?, parse_duration(every).ok()?);
            (lines > 0 && every >= Duration::from_millis(1)).then_some(Self { lines, every })
        });
        parts.ok_or_else(|| {
            format!("expected lines and an interval of at least 1ms such as 20k@1s, got {text:?}")
        })
    }
}

impl fmt::Display for BurstArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.lines, format_duration(self.every))
    }
}

/// A number that may end in `k` or `M`.
fn count(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'k') => (&text[..text.len() - 1], 1_000),
        Some(b'M') => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    let number = digits.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|_| !digits.starts_with('+'))
        .ok_or_else(|| format!("expected a number such as 500, 20k or 1M, got {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_have_a_unit() {
        assert_eq!(
            [count("0"), count("20k"), count("3M")],
            [Ok(0), Ok(20_000), Ok(3_000_000)]
        );
        for text in ["", "k", "1.5k", "-1", "+1", "99999999999999M", "1 k"] {
            assert!(count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_burst_is_lines_and_an_interval() {
        let burst: BurstArg = "20k@1s".parse().unwrap();
        assert_eq!((burst.lines, burst.every), (20_000, Duration::from_secs(1)));
        assert_eq!(burst.to_string(), "20000@1s");
        for text in ["20k", "0@1s", "5@0", "5@1us", "@1s", "5@"] {
            assert!(text.parse::<BurstArg>().is_err(), "{text}");
        }
    }
}
