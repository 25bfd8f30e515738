//! `harness bench`.

mod capacity;
mod described;
mod lines;
mod work;
mod works;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use report::bound::Bound;
use report::expect::{Expectation, Origin};
use service::units::{Rate, parse_duration};

use super::run::{apply, plan};
use super::{Common, check_and_carry_out, descriptor, say, usage};
use crate::descriptor::Descriptor;
use crate::host;
use crate::plan::Planned;
use crate::scenario::{Mode, Scenario, flags, limits};
use crate::schedule::Schedule;

/// Measure one proxy, or several in alternating blocks, beside going direct
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Bench {
    /// Measure this: builtin, nginx, haproxy, envoy, git:REV, a path, cmd:…, addr:…; several
    /// take turns
    #[arg(long = "proxy", value_name = "DESCRIPTOR", value_parser = descriptor)]
    proxies: Vec<Descriptor>,

    /// Speak this protocol; tcp and statsd without a work of their own do every --work
    #[arg(long, value_enum, default_value = "foo")]
    mode: Mode,

    /// Do this of the works that make up "--mode tcp" or "--mode statsd"; may be given several
    /// times [default: all]
    #[arg(long = "work", value_name = "WORK", value_parser = work::parser(), conflicts_with_all = ["rate", "closed", "connections", "pipeline", "requests_per_connection", "lines_per_datagram", "keys", "nodes"])]
    works: Vec<work::Named>,

    /// Send this many requests a second, whatever comes back; with --find-capacity the
    /// first rate that is tried [default: 10k/s; 5k/s with --find-capacity]
    #[arg(long, value_name = "RATE", conflicts_with = "closed")]
    rate: Option<Rate>,

    /// Send the next request when an answer is there, instead of a rate
    #[arg(long)]
    closed: bool,

    /// Open this many connections [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connections: Option<u32>,

    /// Keep this many requests in flight on each connection [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pipeline: Option<u32>,

    /// Measure each block for this long [default: 3s; 2s with --find-capacity, 4s if it
    /// speaks of p99.9]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// Send for this long before each measurement [default: 1s; 500ms with --find-capacity]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    warmup: Option<Duration>,

    /// Measure everything this many times, each with fresh processes; with --find-capacity
    /// close in on the highest rate this many times [default: 5; 3 for every --work]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// Open a new connection after this many requests
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_connection: Option<u32>,

    /// Send from this many threads [default: one per 250k/s, at most one per core; with
    /// --closed one per core]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,

    /// Statsd: put this many lines in a datagram, or "full" [default: 1]
    #[arg(long, value_name = "N|full")]
    lines_per_datagram: Option<String>,

    /// Statsd: use this many keys, such as 100k [default: 1000]
    #[arg(long, value_name = "N")]
    keys: Option<String>,

    /// Statsd: spread lines over this many nodes [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    nodes: Option<u8>,

    /// Demand this of the first --proxy: METRIC OP VALUE; may be given several times
    #[arg(long = "expect", value_name = "EXPECTATION", value_parser = expectation)]
    expectations: Vec<Expectation>,

    #[command(flatten)]
    search: capacity::Options,

    #[command(flatten)]
    common: Common,
}

/// Rounds if nothing else is asked for.
const ROUNDS: u32 = 5;

const EXAMPLES: &str = "\
Every block has a fresh upstream and a fresh proxy. Within a round each proxy, and going
direct, has its turn; the order rotates from round to round. The first --proxy is judged;
ratios are medians over the rounds, beside the first that is neither builtin nor direct.

Metrics of --expect: p50, p90, p99, p99.9, max, cpu_per_msg (as 2ms), rate (as 20k/s),
peak_memory (as 64MiB), failed, unanswered, lost, duplicated, reordered, corrupted,
misrouted, missing (as 0), lines_per_cpu_second (as 1M/s); with <, <=, >, >=, =.

--find-capacity doubles the rate until the bound does not hold any more, then closes in on
the highest rate at which it does, and closes in again --rounds times: the report gives the
median of the rounds, and the least and the most of them. A rate holds if the bound does,
every request was answered rightly, and 99 % of the rate was sent in time. Going direct is
searched as well: what is not below it was not limited by the proxy. Exit code 0 if a
highest rate was found for the first --proxy, 1 if none holds, 3 if the load client was the
limit or nothing could be judged, 4 if something died.

With --mode tcp the works are: 64x1 (64 connections, one message in flight on each), 64x16
(16 in flight), churn (a connection for every message), bulk-1 and bulk-8 (bytes as fast as
they go over 1 and 8 connections). Unless --proxy says otherwise, ours stands beside those
of HAProxy, nginx and Envoy that are installed.

With --mode statsd the works are: single and packed (1 and 30 lines in each datagram, over
three nodes), relay (30 lines, one node), most-single and most-packed (the highest rate with
no line missing), nodes (3 to 100 of them) and keys (10 to 1,000,000). What is shown is how
many lines arrived and how many for each CPU second of the proxy. Unless --proxy says
otherwise, ours stands beside the cluster proxy of npm's statsd, which is installed into
.harness/peers where node and npm are there (or found by HARNESS_STATSD_NPM=path), and in
relay beside Sentry's statsdproxy where that is installed (in PATH, .harness/peers/bin or
HARNESS_STATSDPROXY=path).

Examples:
  Proxies for statsd beside each other; and one of them at a rate of its own:
    harness bench --mode statsd
    harness bench --mode statsd --proxy builtin --rate 1M/s --lines-per-datagram full --nodes 10
  Balancers beside each other, all works in one table each:
    harness bench --mode tcp
    harness bench --mode tcp --work churn --proxy builtin --proxy haproxy --rounds 10
  Our proxy at 10k/s, and fail if it is slow:
    harness bench --expect 'p99<2ms' --expect 'failed=0'
  Beside nginx and HAProxy, as fast as they go, 16 requests in flight:
    harness bench --proxy builtin --proxy nginx --proxy haproxy --closed --pipeline 16
  What a short connection costs:
    harness bench --proxy builtin --proxy nginx --closed --requests-per-connection 1
  Revisions of our own proxy, beside Envoy (HARNESS_ENVOY=path where it is not in PATH):
    harness bench --proxy git:HEAD --proxy git:v0.1 --proxy envoy
  How much ours and HAProxy take before one request in a hundred takes 2 ms:
    harness bench --find-capacity 'p99 < 2ms' --proxy builtin --proxy haproxy
  Relays of UDP beside each other, each datagram there and back:
    harness bench --mode udp --proxy nginx --proxy envoy --rate 20k/s
  Another build of ours, and any command line:
    harness bench --proxy ./target/release/proxy --proxy 'cmd:./relay -l {listen} -t {forward}'";

pub(super) fn execute(bench: &Bench) -> ExitCode {
    let seed = bench.common.seed.unwrap_or_else(host::random_seed);
    let scenarios = match scenarios(bench) {
        Ok(scenarios) => scenarios,
        Err(message) => return usage(&message),
    };
    let (mut all, mut label) = (Vec::new(), "bench");
    for (mut scenario, search) in scenarios {
        for load in &scenario.load {
            let refused = limits::load(load).and_then(|()| flags::check(load));
            if let Err((key, reason)) = refused {
                return usage(&format!("--{}: {reason}", key.replace('_', "-")));
            }
        }
        apply(&bench.common, &mut scenario);
        let rounds = scenario.rounds;
        let mut planned = match Planned::new(scenario, "command line".to_owned(), seed) {
            Ok(planned) => planned,
            Err(error) => return usage(&error.to_string()),
        };
        if let Some((bound, first)) = search {
            match bench.search.schedule(&bound, first, rounds, &planned) {
                Ok(search) => {
                    if !bench.common.quiet {
                        say(&capacity::forecast(&search, &planned));
                    }
                    planned.schedule = Schedule::Search(search);
                }
                Err(message) => return usage(&message),
            }
            if bench.search.bound.is_some() {
                label = "capacity";
            }
        }
        all.push(planned);
    }
    let plan = plan(&bench.common, seed, all);
    check_and_carry_out(&plan, &bench.common, label)
}

/// What is run, and what is searched for in it.
type Sought = (Scenario, Option<(Bound, Rate)>);

fn scenarios(bench: &Bench) -> Result<Vec<Sought>, String> {
    let own = [
        ("lines-per-datagram", bench.lines_per_datagram.is_some()),
        ("keys", bench.keys.is_some()),
        ("nodes", bench.nodes.is_some()),
    ];
    if let Some((flag, _)) = own
        .iter()
        .find(|(_, is_there)| *is_there && bench.mode != Mode::Statsd)
    {
        return Err(format!("--{flag}: expected with --mode statsd only"));
    }
    let of_requests = [
        ("pipeline", bench.pipeline.is_some()),
        (
            "requests-per-connection",
            bench.requests_per_connection.is_some(),
        ),
    ];
    if let Some((flag, _)) = of_requests
        .iter()
        .find(|(_, is_there)| *is_there && bench.mode == Mode::Statsd)
    {
        return Err(format!("--{flag}: nobody answers lines of statsd"));
    }
    let searches =
        bench.search.bound.is_some() || (bench.does_works() && bench.mode == Mode::Statsd);
    if let Some(flag) = bench.search.given().filter(|_| !searches) {
        return Err(format!("--{flag}: expected with --find-capacity only"));
    }
    if let Some(wrong) = bench.works.iter().find(|work| work.mode() != bench.mode) {
        let mode = wrong.mode().word();
        return Err(format!(
            "--work {}: expected with --mode {mode} only",
            wrong.word()
        ));
    }
    if !bench.does_works() {
        let search = bench
            .search
            .bound
            .clone()
            .map(|bound| (bound, bench.first_rate()));
        return Ok(vec![(described::scenario(bench), search)]);
    }
    if bench.mode == Mode::Statsd {
        let families: Vec<lines::Family> = bench
            .works
            .iter()
            .filter_map(|work| work.statsd())
            .collect();
        return Ok(lines::scenarios(bench, &families));
    }
    let works = works::scenarios(bench).into_iter();
    Ok(works.map(|scenario| (scenario, None)).collect())
}

impl Bench {
    /// Whether it does the works that make up a mode, and none that is described by flags.
    fn does_works(&self) -> bool {
        let is_described = self.rate.is_some()
            || self.closed
            || self.connections.is_some()
            || self.pipeline.is_some()
            || self.requests_per_connection.is_some()
            || self.lines_per_datagram.is_some()
            || self.keys.is_some()
            || self.nodes.is_some()
            || self.search.bound.is_some();
        matches!(self.mode, Mode::Tcp | Mode::Statsd) && !is_described
    }

    /// The rate, or the first one of a search.
    fn first_rate(&self) -> Rate {
        let default = if self.search.bound.is_some() {
            "5k/s"
        } else {
            "10k/s"
        };
        self.rate
            .unwrap_or_else(|| default.parse().expect("it is a rate as the help shows it"))
    }
}

fn threads(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|threads| *threads > 0)
        .ok_or_else(|| "expected 1 or more".to_owned())
}

fn expectation(text: &str) -> Result<Expectation, report::expect::ExpectError> {
    Expectation::load(text, None, Origin::CommandLine)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    #[test]
    fn a_bench_demands_that_everything_is_answered() {
        let line = Line::parse_from(["bench"]);
        let demanded: Vec<String> = described::scenario(&line.bench)
            .expectations
            .into_iter()
            .map(|expectation| expectation.text)
            .collect();
        assert_eq!(demanded, ["failed = 0", "unanswered = 0", "load is valid"]);
    }

    #[test]
    fn tcp_alone_does_every_work_and_flags_describe_one() {
        let works = |args: &[&str]| {
            let line = Line::parse_from([&["bench", "--mode", "tcp"], args].concat());
            line.bench
                .does_works()
                .then(|| works::scenarios(&line.bench).len())
        };
        assert_eq!(works(&[]), Some(5));
        assert_eq!(works(&["--work", "churn", "--work", "bulk-1"]), Some(2));
        assert_eq!(works(&["--closed", "--pipeline", "16"]), None);
        assert_eq!(works(&["--connections", "8"]), None);
        let line = Line::parse_from(["bench", "--mode", "tcp", "--proxy", "direct"]);
        for scenario in works::scenarios(&line.bench) {
            let written = toml::to_string(&scenario).unwrap();
            let read = crate::scenario::parse::text(&written, "bench");
            assert!(read.is_ok(), "{}: {read:?}", scenario.name);
            assert!(scenario.proxy.against.is_empty(), "direct stands alone");
        }
    }
}
