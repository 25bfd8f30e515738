//! The works that a balancer is measured by, all in one run.

use std::time::Duration;

use clap::ValueEnum;
use report::expect::{Expectation, Origin};
use report::figures::{BUILTIN, DIRECT};

use super::Bench;
use crate::descriptor::{Descriptor, Template};
use crate::scenario::{Load, Mode, Proxy, Scenario, Server, Upstream};

/// Rounds if nothing else is asked for: there are five works, each with several proxies.
const ROUNDS: u32 = 3;

/// How long each block measures.
const DURATION: Duration = Duration::from_millis(1_500);

/// How long it goes on before that.
const WARMUP: Duration = Duration::from_millis(500);

/// What is asked of a balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Work {
    /// 64 connections, one message in flight on each
    #[value(name = "64x1")]
    Single,
    /// 64 connections, 16 messages in flight on each
    #[value(name = "64x16")]
    Pipelined,
    /// A connection for every message
    Churn,
    /// Bytes from a server as fast as they go, over one connection
    #[value(name = "bulk-1")]
    BulkOne,
    /// The same over 8 connections
    #[value(name = "bulk-8")]
    BulkEight,
}

impl Work {
    fn description(self) -> &'static str {
        match self {
            Self::Single => "64 connections, each sends when it is answered",
            Self::Pipelined => "16 messages in flight on each of 64 connections",
            Self::Churn => "connect, one message, close, on 64 connections at a time",
            Self::BulkOne => "bytes as fast as they go over one connection",
            Self::BulkEight => "bytes as fast as they go over 8 connections",
        }
    }

    fn name(self) -> String {
        let value = self.to_possible_value();
        let name = value.map_or_else(String::new, |value| value.get_name().to_owned());
        format!("tcp-{name}")
    }

    fn is_bulk(self) -> bool {
        matches!(self, Self::BulkOne | Self::BulkEight)
    }

    fn load(self, bench: &Bench) -> Load {
        let (connections, pipeline) = match self {
            Self::Single | Self::Churn => (64, 1),
            Self::Pipelined => (64, 16),
            Self::BulkOne => (1, 1),
            Self::BulkEight => (8, 1),
        };
        Load {
            mode: Mode::Tcp,
            closed: !self.is_bulk(),
            connections,
            pipeline,
            requests_per_connection: (self == Self::Churn).then_some(1),
            // Looking at every byte would cost the client more than the proxy's part.
            verify: self.is_bulk().then(|| "none".to_owned()),
            bulk: self.is_bulk().then(|| "receive".to_owned()),
            duration: bench.duration.unwrap_or(DURATION),
            warmup: bench.warmup.unwrap_or(WARMUP),
            threads: bench.threads,
            ..Load::default()
        }
    }

    fn server(self) -> Server {
        if self.is_bulk() {
            Server::Source
        } else {
            Server::Echo
        }
    }
}

/// One scenario for each work.
pub(super) fn scenarios(bench: &Bench) -> Vec<Scenario> {
    let named: Vec<Work> = bench.works.iter().filter_map(|work| work.tcp()).collect();
    let works = if named.is_empty() {
        Work::value_variants()
    } else {
        &named[..]
    };
    works.iter().map(|work| scenario(*work, bench)).collect()
}

fn scenario(work: Work, bench: &Bench) -> Scenario {
    let mut subjects = subjects(bench);
    let descriptor = subjects.remove(0);
    if descriptor != DIRECT && !subjects.iter().any(|subject| subject == DIRECT) {
        subjects.push(DIRECT.to_owned());
    }
    let load = work.load(bench);
    let counts = ["failed = 0", "unanswered = 0"]
        .into_iter()
        .filter_map(|text| Expectation::load(text, None, Origin::Implied).ok());
    let traffic = load.duration.saturating_add(load.warmup);
    Scenario {
        name: work.name(),
        description: work.description().to_owned(),
        timeout: traffic.saturating_add(Duration::from_secs(30)),
        rounds: bench.rounds.unwrap_or(ROUNDS),
        upstream: vec![Upstream {
            mode: work.server(),
            ..Upstream::default()
        }],
        proxy: Proxy {
            mode: Mode::Tcp,
            descriptor,
            against: subjects,
            ..Proxy::default()
        },
        load: vec![load],
        expectations: bench.expectations.iter().cloned().chain(counts).collect(),
        ..Scenario::default()
    }
}

/// What was asked for; else ours, and those of other people that are installed.
fn subjects(bench: &Bench) -> Vec<String> {
    if !bench.proxies.is_empty() {
        return bench.proxies.iter().map(Descriptor::to_string).collect();
    }
    let peers = [Template::Haproxy, Template::Nginx, Template::Envoy];
    let installed = peers
        .map(Descriptor::Template)
        .into_iter()
        .filter(|peer| peer.program().is_ok());
    std::iter::once(BUILTIN.to_owned())
        .chain(installed.map(|peer| peer.to_string()))
        .collect()
}
