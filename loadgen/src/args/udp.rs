//! The command line of `loadgen udp`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use protocol::probe::HEADER_BYTES;
use service::addr::HostPort;
use service::units::parse_duration;

use super::{OutputArgs, RateArg, SegmentationArg, ShardArgs};
use crate::pacer::PacerChoice;
use crate::payload::Lengths;
use crate::schedule::Arrivals;

/// Longest datagram over IPv4; IPv6 has room for 20 bytes more.
const LONGEST_DATAGRAM: usize = 65_507;

const UDP_EXAMPLES: &str = "\
Examples:
  10,000 datagrams/s for 10 s to an echo, every byte of which is checked:
    harness upstream udp-echo --listen 127.0.0.1:9000
    loadgen udp --connect localhost:9000
  200,000/s of 512 bytes, from 100 source ports:
    loadgen udp --connect localhost:9000 --rate 200k/s --clients 100 --payload 512
  One at a time from each of 8 sockets (closed loop), and what counts as lost:
    loadgen udp --connect localhost:9000 --closed --clients 8 --timeout 250ms
  The most that comes back:
    loadgen udp --connect localhost:9000 --rate max --clients 2
  2 million/s from eight machines, started on each with its number, 0 to 7:
    loadgen udp --connect proxy.example:9000 --allow-remote --rate 2M/s --seed 1 \\
      --shard 0/8 --start-at 1767225600 --out /shared/run

Each datagram has the run, its socket, its number and the time of sending in it, and a check
over all its bytes. One that is not back after --timeout is lost, or late if it comes after
all. UDP promises no order: what is reordered is counted, and right. What was lost on the
way there and on the way back is told by the record of the server beside this one's.

Exit codes: 0 every datagram came back once and rightly; 1 some did not; 2 usage; 3 the run
is invalid, its figures mean nothing; 130 or 143 interrupted.";

/// The arguments of `loadgen udp`.
#[derive(Clone, Debug, Args)]
#[command(after_help = UDP_EXAMPLES, allow_negative_numbers = true)]
pub struct UdpArgs {
    /// Send to this address: HOST:PORT, or :PORT for this machine
    #[arg(long, value_name = "ADDR")]
    pub connect: HostPort,

    /// Send this many datagrams per second, such as 500 or 20k/s, or `max` for as many as
    /// come back [default: 10k/s]
    #[arg(long, value_name = "RATE|max")]
    pub rate: Option<RateArg>,

    /// Send the next datagram when one has come back or is lost, instead of at a rate
    #[arg(long)]
    pub closed: bool,

    /// Send from this many sockets, each with a port of its own, in turn
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub clients: usize,

    /// Let this many datagrams of each socket be on their way; at a rate there is no such
    /// limit [default: 1 with --closed, 64 with --rate max]
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,

    /// Send datagrams of this many bytes: a number or a range, from 32 to 65507
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = lengths)]
    pub payload: Lengths,

    /// Count a datagram as lost that is not back after this time
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub timeout: Duration,

    /// Measure for this long [default: 10s, 10m if --requests is given]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Measure this many datagrams
    #[arg(long, value_name = "N", alias = "datagrams")]
    pub requests: Option<u64>,

    /// Spread datagrams over time at fixed gaps, or at random ones as independent senders
    /// do [default: uniform]
    #[arg(long, value_enum, value_name = "HOW")]
    pub arrivals: Option<Arrivals>,

    /// Wait for due datagrams by sleeping, by sleeping until 60 µs before and then
    /// polling (hybrid), or by polling (spin) [default: auto: hybrid if a core is left]
    #[arg(long, value_enum, value_name = "HOW")]
    pub pacer: Option<PacerChoice>,

    /// Hand over datagrams of one size in one piece that the kernel cuts up (UDP_SEGMENT),
    /// where that can be done
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto")]
    pub segmentation: SegmentationArg,

    /// Derive all randomness from this number [default: a random one, reported]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Use this many worker threads [default: one per core; at a rate one per 250k/s, at
    /// most one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Send for this long before measuring [default: 1s, 0 if --requests is given]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub warmup: Option<Duration>,

    /// Report the run in slices of this length, at least 10ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_duration)]
    pub interval: Duration,

    /// Measure this tool alone for this long before the run, against an echo in the same
    /// process; 0 to skip
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = parse_duration)]
    pub floor: Duration,

    /// Wait this long at the end for what is not back [default: the timeout]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub drain: Option<Duration>,

    /// Write response times per interval as an HdrHistogram log
    #[arg(long, value_name = "PATH")]
    pub hlog: Option<PathBuf>,

    /// Where it goes, and where its record goes.
    #[command(flatten)]
    pub outputs: OutputArgs,

    /// Whether other machines send the rest.
    #[command(flatten)]
    pub shard: ShardArgs,
}

fn lengths(text: &str) -> Result<Lengths, String> {
    Lengths::parse(text, HEADER_BYTES, LONGEST_DATAGRAM).ok_or_else(|| {
        format!(
            "expected a length such as 64 or a range such as 64-1400, from {HEADER_BYTES} (what \
             is in each datagram) to {LONGEST_DATAGRAM} bytes, got {text:?}"
        )
    })
}
