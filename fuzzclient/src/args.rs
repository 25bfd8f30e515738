//! The command line, and the plan that it stands for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
use service::addr::HostPort;
use service::ready::InheritedFd;
use service::units::{Size, format_duration, parse_duration};

use crate::generate::{Source, Strategy};
use crate::plan::Plan;
use crate::statsd::Statsd;

/// Bytes of a run for which no limit is given.
const DEFAULT_BYTES: u64 = 30_000_000;

/// Duration of a run for which no limit is given.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// More sessions at once than this need more descriptors than a process may have.
const MAX_CONNECTIONS: u64 = 20_000;

/// Send garbage to a server or a proxy and watch what becomes of it.
#[derive(Debug, Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct FuzzClient {
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    Foo(Box<Foo>),
    Statsd(Statsd),
}

/// Send garbage to a Foo server, or to what stands before it.
///
/// The bytes of each connection are a function of the seed and the connection's number:
/// the same seed sends the same bytes. Replies are read and counted all the time. After
/// its last byte a connection is half-closed, and the target's end is waited for.
///
/// Exit codes: 0 ended as asked and the target still takes connections, 1 the target was
/// never reached, 2 usage, 4 the target is gone (it took connections and refuses them
/// now) or hangs, 130 and 143 interrupted.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Foo {
    /// Send to this address
    #[arg(long, value_name = "ADDR", default_value = "localhost:8001")]
    pub(crate) connect: HostPort,

    /// Make bytes in this way
    #[arg(long, value_enum, default_value_t)]
    strategy: Strategy,

    /// Send this many bytes, over all connections [default: 30MB; none with --until-crash
    /// or --source]
    #[arg(long, value_name = "SIZE")]
    bytes: Option<Size>,

    /// Send for this long [default: 10s; without limit with --until-crash or --source]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// Use this many connections at the same time
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONNECTIONS))]
    connections: u64,

    /// Number the connections from here on: connection N of an earlier run again
    #[arg(long, value_name = "N", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=u64::MAX / 2))]
    first_connection: u64,

    /// Make the bytes from this seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Send at most this many bytes per second, over all connections, such as 10MiB/s
    /// [default: as fast as they are taken]
    #[arg(long, value_name = "SIZE/s")]
    rate: Option<ByteRate>,

    /// Send this file, device or stdin (-) instead of made bytes. A file goes to each
    /// connection as a whole; anything else needs --connections 1
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,

    /// Keep every byte that was sent in this file: raw if there is one connection only,
    /// otherwise in pieces, each behind a line "connection N bytes LENGTH"
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Open a new connection whenever one has ended, until the target takes no more
    #[arg(long)]
    until_crash: bool,

    /// With --until-crash, end each connection after this many bytes
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    session_bytes: Size,

    /// Call it a hang when the target neither takes nor sends a byte for this long
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    hang_after: Duration,

    /// Write what was seen as one JSON object to this file, or to stdout (-) instead of
    /// the text
    #[arg(long, value_name = "PATH")]
    pub(crate) json: Option<PathBuf>,

    /// Announce the start with one JSON line on this open descriptor
    #[arg(long, value_name = "FD")]
    pub(crate) ready_fd: Option<InheritedFd>,

    /// Send to other machines than this one
    #[arg(long)]
    allow_remote: bool,

    /// Write no text
    #[arg(long)]
    pub(crate) quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  30 MB of random bytes, as in the recorded crash:
    fuzzclient foo --connect 127.0.0.1:8001
  The same as \"cat /dev/random | nc localhost 8000\", and what was sent kept in a file:
    fuzzclient foo --source /dev/random --connect localhost:8000 --record sent.bin
  Lines over 8 connections until the target is gone, at most a minute:
    fuzzclient foo --connect :8002 --strategy lines --connections 8 --until-crash --duration 1m
  Connection 17 of that run alone, to see whether it was the one:
    fuzzclient foo --connect :8002 --strategy lines --first-connection 17 --bytes 1MiB";

impl Foo {
    /// The plan that these flags stand for.
    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let targets = self.connect.connect_candidates()?;
        if !self.allow_remote && !self.connect.is_loopback()? {
            bail!(
                "--connect {} is another machine; --allow-remote permits that",
                self.connect
            );
        }
        if self.hang_after.is_zero() {
            bail!("--hang-after must be longer than 0");
        }
        if self.session_bytes.0 == 0 {
            bail!("--session-bytes must be more than 0");
        }
        let source = self.source.as_deref().map(Source::open).transpose();
        let source = source.context("--source")?;
        if matches!(source, Some(Source::Stream(_))) && self.connections > 1 {
            bail!("--source that is not a regular file needs --connections 1");
        }
        let endless = self.until_crash || source.is_some();
        let bytes = self.bytes.map(|size| size.0);
        let bytes = bytes.or((!endless).then_some(DEFAULT_BYTES));
        let duration = self.duration.or((!endless).then_some(DEFAULT_DURATION));
        Ok(Plan {
            targets,
            strategy: self.strategy,
            source,
            seed: self.seed,
            connections: self.connections,
            first_connection: self.first_connection,
            bytes,
            session_bytes: self.session_bytes.0,
            duration,
            rate: self.rate.map(|rate| rate.0),
            until_crash: self.until_crash,
            hang_after: self.hang_after,
            recording: self.record.clone(),
            config: self.config(bytes, duration),
        })
    }

    fn config(&self, bytes: Option<u64>, duration: Option<Duration>) -> BTreeMap<String, Value> {
        let path = |path: &Option<PathBuf>| json!(path.as_ref().map(|p| p.to_string_lossy()));
        let flags = [
            ("connect", json!(self.connect)),
            ("strategy", json!(self.strategy)),
            ("bytes", json!(bytes)),
            ("duration", json!(duration.map(format_duration))),
            ("connections", json!(self.connections)),
            ("first_connection", json!(self.first_connection)),
            ("seed", json!(self.seed)),
            ("rate", json!(self.rate.map(|rate| rate.0))),
            ("source", path(&self.source)),
            ("record", path(&self.record)),
            ("until_crash", json!(self.until_crash)),
            ("session_bytes", json!(self.session_bytes.0)),
            ("hang_after", json!(format_duration(self.hang_after))),
            ("allow_remote", json!(self.allow_remote)),
        ];
        flags
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ByteRate(f64);

impl FromStr for ByteRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.strip_suffix("/s").unwrap_or(text).parse::<Size>().ok();
        size.filter(|size| size.0 > 0)
            .map(|size| Self(size.0 as f64))
            .ok_or_else(|| {
                format!(
                    "expected a number of bytes per second such as 500KB/s or 10MiB/s, got {text:?}"
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(flags: &[&str]) -> anyhow::Result<Plan> {
        let args = ["fuzzclient", "foo"].iter().chain(flags);
        match FuzzClient::try_parse_from(args)?.mode {
            Mode::Foo(flags) => flags.plan(),
            Mode::Statsd(_) => unreachable!("it says foo"),
        }
    }

    #[test]
    fn limits_have_defaults_only_where_a_run_would_be_expected_to_end() {
        let limits = |flags: &[&str]| {
            let plan = plan(flags).unwrap();
            (plan.bytes, plan.duration.map(|d| d.as_secs()))
        };
        assert_eq!(limits(&[]), (Some(30_000_000), Some(10)));
        assert_eq!(limits(&["--bytes", "5"]), (Some(5), Some(10)));
        assert_eq!(limits(&["--until-crash"]), (None, None));
        assert_eq!(
            limits(&["--source", "/dev/zero", "--duration", "2s"]),
            (None, Some(2))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&[&str], &str); 9] = [
            (&["--connect", "192.0.2.1:80"], "--allow-remote"),
            (&["--connect", "nowhere"], "HOST:PORT"),
            (&["--connections", "0"], "1..=20000"),
            (&["--rate", "fast"], "10MiB/s"),
            (&["--rate", "0"], "10MiB/s"),
            (&["--bytes", "many"], "--bytes"),
            (&["--hang-after", "0"], "--hang-after"),
            (&["--source", "/no/such/file"], "/no/such/file"),
            (
                &["--source", "/dev/zero", "--connections", "2"],
                "--connections 1",
            ),
        ];
        for (flags, expected) in cases {
            let error = format!("{:#}", plan(flags).unwrap_err());
            assert!(error.contains(expected), "{flags:?}: {error}");
        }
        assert!(plan(&["--connect", "192.0.2.1:80", "--allow-remote"]).is_ok());
    }
}
