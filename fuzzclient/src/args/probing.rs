//! How it is told whether the target lives.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use service::addr::HostPort;
use service::units::parse_duration;

use super::addresses;
use crate::generate::Protocol;
use crate::probe::{Probe, Question, unescape};

/// A line that every statsd server takes.
const METRIC: &[u8] = b"fuzzclient.alive:0|c\n";

/// How it is told whether the target lives.
#[derive(Args, Debug)]
pub(super) struct Probing {
    /// Ask on a fresh connection again and again whether the target lives, and stop when it
    /// does not. "auto" asks with --until-crash or any other --probe-... only: a Foo server
    /// with a request, a management port for its health, others by connecting
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    probe: How,

    /// Ask this address instead of --connect, such as the management port of statsd
    #[arg(long, value_name = "ADDR")]
    probe_at: Option<HostPort>,

    /// Ask with this text (\r, \n, \t, \0, \xNN and \\ work)
    #[arg(long, value_name = "TEXT")]
    probe_send: Option<String>,

    /// Take only an answer that holds this text for the right one; may be given several
    /// times, one is enough [default with --probe-send: any byte]
    #[arg(long, value_name = "TEXT", requires = "probe_send")]
    probe_expect: Vec<String>,

    /// Call the target slow when a probe's answer takes longer than this
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = parse_duration)]
    slow_after: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum How {
    /// As the protocol and the other flags suggest
    #[default]
    Auto,
    /// Connect only
    Connect,
    /// Never
    Off,
}

impl Probing {
    pub(super) fn how(&self) -> How {
        self.probe
    }

    /// The probe, if there is to be one.
    pub(super) fn settle(
        &self,
        protocol: Protocol,
        datagrams: bool,
        until_crash: bool,
        patience: Duration,
        allow_remote: bool,
    ) -> anyhow::Result<Option<Probe>> {
        let asked_for = self.probe_send.is_some() || self.probe_at.is_some();
        match self.probe {
            How::Off if asked_for => bail!("--probe off contradicts --probe-send and --probe-at"),
            How::Off => return Ok(None),
            How::Auto if !until_crash && !asked_for => return Ok(None),
            How::Auto | How::Connect => {}
        }
        let at: Option<SocketAddr> = match &self.probe_at {
            Some(at) => addresses(at, "--probe-at", allow_remote)?
                .into_iter()
                .next(),
            None => None,
        };
        let question = match &self.probe_send {
            Some(_) if self.probe == How::Connect => {
                bail!("--probe connect sends nothing: it contradicts --probe-send")
            }
            Some(text) => Question::Bytes {
                send: unescaped("--probe-send", text)?,
                expect: self.expected()?,
            },
            None if self.probe == How::Connect => Question::Connect,
            None => match protocol {
                Protocol::Foo => Question::Foo,
                Protocol::Statsd if at.is_some() => Question::Bytes {
                    send: b"health\r\n".to_vec(),
                    expect: vec![b"up".to_vec()],
                },
                Protocol::Statsd if datagrams => Question::Datagram(METRIC.to_vec()),
                Protocol::Statsd | Protocol::Tcp => Question::Connect,
            },
        };
        let slow_after = self.slow_after;
        Ok(Some(Probe {
            at,
            question,
            patience,
            slow_after,
            usual: None,
        }))
    }

    fn expected(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let texts = self.probe_expect.iter();
        texts
            .map(|text| unescaped("--probe-expect", text))
            .collect()
    }
}

fn unescaped(flag: &'static str, text: &str) -> anyhow::Result<Vec<u8>> {
    unescape(text).map_err(anyhow::Error::msg).context(flag)
}
