//! Garbage over UDP, for whoever listens for statsd: `fuzzclient statsd`.
//!
//! `garbage` makes the datagrams. Each is counted, and so is each of its lines, so that
//! whoever keeps an account of lines can account for these as well.

mod garbage;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use service::addr::HostPort;
use service::clock::mono_ns;
use service::ready::{InheritedFd, Ready};
use service::signals::{Stop, StopSignals};
use service::units::{Rate, format_duration, parse_duration};

use self::garbage::Garbage;
use crate::generate;
use crate::record::{Datagrams, FuzzRecord, SCHEMA_VERSION, SessionRecord};
use crate::report::Output;

/// The purpose of the random numbers, beside the strategies of [`generate`].
const PURPOSE: u8 = 16;

/// Between two looks at the clock and the signals when nothing is due.
const PAUSE: Duration = Duration::from_millis(1);

/// Send datagrams of garbage to a statsd server, or to what stands before it.
///
/// Lines without "|" or ":", names that look like formats, empty datagrams, newlines only,
/// random bytes, and datagrams of the largest size take turns: a function of the seed.
///
/// Exit codes: 0 ended as asked, 1 nothing could be sent, 2 usage, 130 and 143 interrupted.
/// Nobody answers such datagrams, so it cannot tell whether the target is still there.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Statsd {
    /// Send to this address
    #[arg(long, value_name = "ADDR", default_value = "localhost:8125")]
    connect: HostPort,

    /// Send this many datagrams per second
    #[arg(long, value_name = "RATE", default_value = "1k/s")]
    rate: Rate,

    /// Send for this long
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    duration: Duration,

    /// Make the datagrams from this seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Write what was sent as one JSON object to this file, or to stdout (-) instead of the
    /// text
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,

    /// Announce the start with one JSON line on this open descriptor
    #[arg(long, value_name = "FD")]
    ready_fd: Option<InheritedFd>,

    /// Send to other machines than this one
    #[arg(long)]
    allow_remote: bool,

    /// Write no text
    #[arg(long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  Garbage beside good load, a thousand datagrams a second for five seconds:
    fuzzclient statsd --connect 127.0.0.1:8125 --duration 5s
  The same datagrams again, slower:
    fuzzclient statsd --connect 127.0.0.1:8125 --seed 7 --rate 10/s --duration 1m";

impl Statsd {
    /// What is wrong with what was asked for, if anything; else where to send to.
    pub(crate) fn target(&self) -> anyhow::Result<SocketAddr> {
        if !self.allow_remote && !self.connect.is_loopback()? {
            bail!(
                "--connect {} is another machine; --allow-remote permits that",
                self.connect
            );
        }
        let candidates = self.connect.connect_candidates()?;
        candidates
            .first()
            .copied()
            .context("--connect names no address")
    }

    /// Sends what was asked for, and reports.
    pub(crate) fn attack(&self, target: SocketAddr) -> anyhow::Result<ExitCode> {
        let output = Output::open(self.json.as_deref(), self.quiet)?;
        let from: SocketAddr = match target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(from)?;
        socket
            .connect(target)
            .with_context(|| format!("cannot send to {target}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (record, stop) = runtime.block_on(async {
            let mut signals = StopSignals::listen()?;
            Ready::new("fuzzclient statsd", []).announce(self.ready_fd)?;
            Ok::<_, anyhow::Error>(self.send(&socket, &mut signals).await)
        })?;
        output.write(&record)?;
        match stop {
            Some(stop) => Ok(ExitCode::from(stop.exit_code())),
            None if record.bytes_sent == 0 => bail!("nothing could be sent to {target}"),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    async fn send(
        &self,
        socket: &UdpSocket,
        signals: &mut StopSignals,
    ) -> (FuzzRecord, Option<Stop>) {
        let (started, started_mono_ns) = (Instant::now(), mono_ns());
        let mut garbage = Garbage::new(generate::rng(self.seed, 0, PURPOSE));
        let mut datagram = Vec::new();
        let mut sums = Datagrams::default();
        let (mut bytes, mut newlines, mut due) = (0, 0, 0.0);
        let mut stop = None;
        while stop.is_none() && started.elapsed() < self.duration {
            while due <= self.rate.per_second() * started.elapsed().as_secs_f64() {
                let kind = garbage.next(&mut datagram);
                match send_once(socket, &datagram) {
                    Ok(()) => {
                        let lines = garbage::lines(&datagram);
                        sums.sent += 1;
                        sums.lines += lines;
                        sums.most_lines = sums.most_lines.max(lines);
                        *sums.kinds.entry(kind.name().to_owned()).or_insert(0) += 1;
                        bytes += datagram.len() as u64;
                        newlines += memchr::memchr_iter(b'\n', &datagram).count() as u64;
                    }
                    Err(_) => sums.not_sent += 1,
                }
                due += 1.0;
            }
            tokio::select! {
                biased;
                signal = signals.next() => stop = Some(signal),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        let stopped_by = if stop.is_some() {
            "interrupted"
        } else {
            "duration"
        };
        let record = FuzzRecord {
            schema_version: SCHEMA_VERSION,
            config: self.config(),
            seed: self.seed,
            started_mono_ns,
            elapsed_s: started.elapsed().as_secs_f64(),
            stopped_by: stopped_by.to_owned(),
            bytes_sent: bytes,
            lines_sent: newlines,
            bytes_received: 0,
            replies: 0,
            observations: BTreeMap::new(),
            sessions: vec![SessionRecord {
                connection: 0,
                bytes_sent: bytes,
                bytes_received: 0,
                end: "finished".to_owned(),
                end_mono_ns: mono_ns(),
            }],
            target_gone: false,
            datagrams: Some(sums),
        };
        (record, stop)
    }

    fn config(&self) -> BTreeMap<String, serde_json::Value> {
        let flags = [
            ("connect", json!(self.connect)),
            ("rate", json!(self.rate.per_second())),
            ("duration", json!(format_duration(self.duration))),
            ("seed", json!(self.seed)),
            ("allow_remote", json!(self.allow_remote)),
        ];
        flags.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// Sends a datagram. That an earlier one came back says nothing about this one.
fn send_once(socket: &UdpSocket, datagram: &[u8]) -> std::io::Result<()> {
    match socket.send(datagram) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            socket.send(datagram).map(drop)
        }
        sent => sent.map(drop),
    }
}
