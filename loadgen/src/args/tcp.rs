//! The command line of `loadgen tcp`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use service::units::Size;

use super::LoadArgs;
use crate::echoes::Integrity;
use crate::payload::Lengths;
use crate::transport::ProxyVersion;
use crate::words;

const TCP_EXAMPLES: &str = "\
Examples:
  10,000 messages/s of 64 bytes for 10 s to an echo, every byte of which is checked:
    loadgen tcp --connect localhost:9000
  1,000 new connections a second, each for one message:
    loadgen tcp --connect localhost:9000 --rate 1k/s --requests-per-connection 1
  The most that 8 connections take, one message at a time on each:
    loadgen tcp --connect localhost:9000 --closed --connections 8
  9,000 connections that say nothing while 64 others work, each checked at the end:
    loadgen tcp --connect localhost:9000 --idle 9000 --idle-check
  As many bytes as possible over 8 connections to an echo, for 10 s:
    loadgen tcp --connect localhost:9000 --bulk echo --connections 8
  1 GiB on each of 4 connections from a source (harness upstream source):
    loadgen tcp --connect localhost:9000 --bulk receive --bytes 1GiB --connections 4
  5 million connections a minute from ten tasks of a Slurm job, each with its share:
    loadgen tcp --connect proxy.example:9000 --allow-remote --rate 84k/s --seed 1 \\
      --requests-per-connection 1 --shard auto --start-at $START --out /shared/run
  TLS, with the certificate of a test:
    loadgen tcp --connect localhost:9443 --tls --tls-ca ca.pem --tls-server-name example.test

Exit codes: 0 every byte came back rightly; 1 something failed; 2 usage;
3 the run is invalid, its figures mean nothing; 130 or 143 interrupted.";

/// The arguments of `loadgen tcp`.
#[derive(Debug, Args)]
#[command(after_help = TCP_EXAMPLES, allow_negative_numbers = true)]
pub struct TcpArgs {
    /// What every load has.
    #[command(flatten)]
    pub load: LoadArgs,

    /// Send messages of this many bytes: a number or a range [default: 64]
    #[arg(long, value_name = "BYTES", value_parser = lengths)]
    pub payload: Option<Lengths>,

    /// Check every byte that comes back, or only count them
    #[arg(long, value_enum, value_name = "HOW", default_value = "full")]
    pub verify: Integrity,

    /// Connect from these addresses in turn, such as 127.0.0.2,127.0.0.3: each has some
    /// 28,000 ports
    #[arg(
        long,
        value_name = "IP,…",
        value_delimiter = ',',
        conflicts_with = "sources"
    )]
    pub source: Vec<Ipv4Addr>,

    /// Connect from this many loopback addresses in turn, from 127.0.0.2 on [default:
    /// 250 with --requests-per-connection or above 20,000 connections]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_000))]
    pub sources: Option<u32>,

    /// Open this many more connections before the run, which send nothing during it
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub idle: usize,

    /// Send one message over each idle connection at the end, which must come back
    #[arg(long)]
    pub idle_check: bool,

    /// End our side when the last message of a connection is written; everything must
    /// still come back before the target ends its side
    #[arg(long)]
    pub half_close: bool,

    /// Read each connection no faster than this, such as 64KiB/s
    #[arg(long, value_name = "SIZE/s")]
    pub read_rate: Option<ReadRate>,

    /// Transfer bytes as fast as possible instead of messages: to a sink, from a source,
    /// both at once, or to an echo and back
    #[arg(long, value_enum, value_name = "DIRECTION")]
    pub bulk: Option<BulkArg>,

    /// Bulk: transfer this much on each connection, instead of for --duration
    #[arg(long, value_name = "SIZE")]
    pub bytes: Option<Size>,

    /// Bulk: the seed of the bytes, which a source must share [default: 1]
    #[arg(long, value_name = "N")]
    pub pattern_seed: Option<u64>,

    /// Talk TLS
    #[arg(long)]
    pub tls: bool,

    /// TLS: trust the certificates in this PEM file
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// TLS: take any certificate
    #[arg(long)]
    pub tls_insecure: bool,

    /// TLS: who the target must be [default: the host of --connect]
    #[arg(long, value_name = "NAME")]
    pub tls_server_name: Option<String>,

    /// Send a header of the PROXY protocol first
    #[arg(long, value_enum, value_name = "VERSION")]
    pub proxy_protocol: Option<ProxyVersion>,

    /// The source address in that header [default: the connection's own]
    #[arg(long, value_name = "IP:PORT")]
    pub proxy_source: Option<SocketAddr>,
}

/// Which way a bulk transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BulkArg {
    /// To a sink.
    Send,
    /// From a source.
    Receive,
    /// To a sink that is a source as well.
    Both,
    /// To an echo, and what comes back must be what was sent.
    Echo,
}

impl BulkArg {
    /// The name in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Both => "both",
            Self::Echo => "echo",
        }
    }
}

/// `--read-rate`: bytes per second, more than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRate(pub u64);

impl FromStr for ReadRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.strip_suffix("/s").unwrap_or(text).parse::<Size>();
        match size {
            Ok(Size(bytes)) if bytes > 0 => Ok(Self(bytes)),
            _ => Err(format!(
                "expected a size per second such as 64KiB/s or 1MB/s, got {text:?}"
            )),
        }
    }
}

impl fmt::Display for ReadRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Size(self.0))
    }
}

fn lengths(text: &str) -> Result<Lengths, String> {
    let (least, most) = (words::WORD, words::MOST_BYTES);
    Lengths::parse(text, least, most).ok_or_else(|| {
        format!(
            "expected a length such as 64 or a range such as 16-1024, from {least} to {most} \
             bytes, got {text:?}"
        )
    })
}
