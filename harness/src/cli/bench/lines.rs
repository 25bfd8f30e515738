//! The works that a proxy for statsd is measured by, all in one run.

use std::time::Duration;

use clap::ValueEnum;
use report::bound::Bound;
use report::figures::{BUILTIN, DIRECT};
use service::units::Rate;

use super::Bench;
use crate::descriptor::{Descriptor, Template};
use crate::peers;
use crate::scenario::{Load, Mode, Proxy, Scenario, Server, Upstream};

/// Rounds if nothing else is asked for: there are many works.
const ROUNDS: u32 = 3;

/// How long each block measures.
const DURATION: Duration = Duration::from_millis(1_500);

/// How long it goes on before that.
const WARMUP: Duration = Duration::from_millis(500);

/// Lines in a datagram that is packed: about as many as an Ethernet frame holds.
const PACKED: &str = "30";

/// Keys, where their number is not what is measured.
const KEYS: &str = "1000";

/// Nodes, where their number is not what is measured.
pub(super) const NODES: usize = 3;

/// Sockets that lines come from: proxies with several threads share them out by sender.
pub(super) const SENDERS: u32 = 16;

/// What is asked of a proxy for statsd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// One line in each datagram.
    Single,
    /// Thirty lines in each.
    Packed,
    /// The same to one node: what needs no ring.
    Relay,
    /// The highest rate without a line missing, one line in each datagram.
    MostSingle,
    /// The same with thirty lines in each.
    MostPacked,
    /// Packed, over so many nodes.
    Nodes(usize),
    /// Packed, with so many keys.
    Keys(&'static str),
}

impl Work {
    /// All, in the order in which they are done.
    const ALL: [Self; 15] = [
        Self::Single,
        Self::Packed,
        Self::Relay,
        Self::MostSingle,
        Self::MostPacked,
        Self::Nodes(3),
        Self::Nodes(10),
        Self::Nodes(30),
        Self::Nodes(100),
        Self::Keys("10"),
        Self::Keys("100"),
        Self::Keys("1000"),
        Self::Keys("10000"),
        Self::Keys("100000"),
        Self::Keys("1000000"),
    ];

    /// Those of a family; all if none is named.
    fn of(families: &[Family]) -> Vec<Self> {
        let is_wanted = |work: &Self| families.is_empty() || families.contains(&work.family());
        Self::ALL.into_iter().filter(is_wanted).collect()
    }

    fn family(self) -> Family {
        match self {
            Self::Single => Family::Single,
            Self::Packed => Family::Packed,
            Self::Relay => Family::Relay,
            Self::MostSingle => Family::MostSingle,
            Self::MostPacked => Family::MostPacked,
            Self::Nodes(_) => Family::Nodes,
            Self::Keys(_) => Family::Keys,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Single => "statsd-single".to_owned(),
            Self::Packed => "statsd-packed".to_owned(),
            Self::Relay => "statsd-relay".to_owned(),
            Self::MostSingle => "statsd-most-single".to_owned(),
            Self::MostPacked => "statsd-most-packed".to_owned(),
            Self::Nodes(nodes) => format!("statsd-nodes-{nodes}"),
            Self::Keys(keys) => format!("statsd-keys-{keys}"),
        }
    }

    fn description(self) -> String {
        let (nodes, rate) = (self.nodes(), self.rate());
        match self {
            Self::Single => format!("{rate} lines, each in a datagram, over {nodes} nodes"),
            Self::Packed => format!("{rate} lines, {PACKED} in a datagram, over {nodes} nodes"),
            Self::Relay => format!("{rate} lines, {PACKED} in a datagram, to one node"),
            Self::MostSingle => "the most lines, each in a datagram, with none missing".to_owned(),
            Self::MostPacked => {
                format!("the most lines, {PACKED} in a datagram, with none missing")
            }
            Self::Nodes(_) => format!("{rate} packed lines over {nodes} nodes"),
            Self::Keys(keys) => format!("{rate} packed lines with {keys} keys"),
        }
    }

    fn nodes(self) -> usize {
        match self {
            Self::Relay => 1,
            Self::Nodes(nodes) => nodes,
            _ => NODES,
        }
    }

    /// The rate, or the first of a search.
    fn rate(self) -> Rate {
        let text = match self {
            Self::Single => "200k/s",
            Self::Packed => "1M/s",
            Self::Relay => "300k/s",
            Self::MostSingle | Self::MostPacked => "20k/s",
            Self::Nodes(_) | Self::Keys(_) => "500k/s",
        };
        text.parse().expect("a test parses them all")
    }

    fn is_search(self) -> bool {
        matches!(self, Self::MostSingle | Self::MostPacked)
    }

    fn lines_per_datagram(self) -> &'static str {
        match self {
            Self::Single | Self::MostSingle => "1",
            _ => PACKED,
        }
    }

    fn keys(self) -> &'static str {
        match self {
            Self::Keys(keys) => keys,
            _ => KEYS,
        }
    }

    /// What is measured: what was asked for; else ours, and those of other people that do
    /// this. The curves are of the first alone.
    fn subjects(self, bench: &Bench) -> Vec<String> {
        let mut subjects: Vec<String> = bench.proxies.iter().map(Descriptor::to_string).collect();
        if subjects.is_empty() {
            subjects.push(BUILTIN.to_owned());
            if peers::can_have_cluster_proxy() {
                subjects.push(Template::Statsd.program().to_owned());
            }
            // It knows one server only.
            if self == Self::Relay && peers::sentry().is_ok() {
                subjects.push(Template::Statsdproxy.program().to_owned());
            }
        }
        if matches!(self, Self::Nodes(_) | Self::Keys(_)) {
            subjects.truncate(1);
        } else if !subjects.iter().any(|subject| subject == DIRECT) {
            subjects.push(DIRECT.to_owned());
        }
        subjects
    }
}

/// Works that belong together, as `--work` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Family {
    /// Statsd: one line in each datagram
    Single,
    /// Statsd: thirty lines in each datagram
    Packed,
    /// Statsd: the same to one node, where there is nothing to hash
    Relay,
    /// Statsd: the highest rate without a line missing, one line in each datagram
    MostSingle,
    /// Statsd: the same, thirty lines in each datagram
    MostPacked,
    /// Statsd: what a line costs with 3, 10, 30 and 100 nodes
    Nodes,
    /// Statsd: what a line costs with 10 to 1,000,000 keys
    Keys,
}

/// A scenario for each work, and what is searched for in it, if it is a search.
pub(super) fn scenarios(
    bench: &Bench,
    families: &[Family],
) -> Vec<(Scenario, Option<(Bound, Rate)>)> {
    let works = Work::of(families).into_iter();
    works
        .map(|work| (scenario(work, bench), search(work)))
        .collect()
}

fn search(work: Work) -> Option<(Bound, Rate)> {
    let bound = "missing <= 0".parse().expect("a test parses it");
    work.is_search().then(|| (bound, work.rate()))
}

fn scenario(work: Work, bench: &Bench) -> Scenario {
    let mut subjects = work.subjects(bench);
    let descriptor = subjects.remove(0);
    let load = Load {
        mode: Mode::Statsd,
        rate: Some(work.rate()),
        connections: SENDERS,
        lines_per_datagram: Some(work.lines_per_datagram().to_owned()),
        keys: Some(work.keys().to_owned()),
        duration: bench.duration.unwrap_or(DURATION),
        warmup: bench.warmup.unwrap_or(WARMUP),
        threads: bench.threads,
        ..Load::default()
    };
    let traffic = load.duration.saturating_add(load.warmup);
    let judged = bench
        .expectations
        .iter()
        .filter(|_| !work.is_search())
        .cloned();
    Scenario {
        name: work.name(),
        description: work.description(),
        timeout: traffic.saturating_add(Duration::from_secs(40)),
        rounds: bench
            .rounds
            .unwrap_or(if work.is_search() { 1 } else { ROUNDS }),
        upstream: servers(work.nodes()),
        proxy: Proxy {
            mode: Mode::Statsd,
            descriptor,
            against: subjects,
            ..Proxy::default()
        },
        load: vec![load],
        expectations: judged.collect(),
        ..Scenario::default()
    }
}

/// So many servers for lines.
pub(super) fn servers(count: usize) -> Vec<Upstream> {
    let server = Upstream {
        mode: Server::Statsd,
        ..Upstream::default()
    };
    vec![server; count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_work_can_be_named_and_carried_out() {
        for work in Work::ALL {
            assert!(work.rate().per_second() > 0.0, "{work:?}");
            assert_eq!(search(work).is_some(), work.is_search());
        }
        for family in Family::value_variants() {
            assert!(!Work::of(&[*family]).is_empty(), "{family:?}");
        }
        assert_eq!(Work::of(&[]).len(), Work::ALL.len());
        assert_eq!(Work::of(&[Family::Nodes, Family::Single]).len(), 5);
    }
}
