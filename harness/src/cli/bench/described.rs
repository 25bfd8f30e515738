//! The one scenario that flags describe.

use std::time::Duration;

use report::expect::{Expectation, Origin};
use report::figures::{BUILTIN, DIRECT};

use super::{Bench, ROUNDS, capacity, lines};
use crate::descriptor::Descriptor;
use crate::scenario::{Load, Mode, Proxy, Scenario, Server, Upstream};

/// Connections if nothing else is asked for.
const CONNECTIONS: u32 = 64;

/// How long the tool's own floor is measured before each block.
const FLOOR: Duration = Duration::from_millis(300);

/// What the flags come to.
pub(super) fn scenario(bench: &Bench) -> Scenario {
    let mut subjects: Vec<String> = bench.proxies.iter().map(Descriptor::to_string).collect();
    if subjects.is_empty() {
        let is_ours = bench.mode != Mode::Udp;
        subjects.push(if is_ours { BUILTIN } else { DIRECT }.to_owned());
    }
    let descriptor = subjects.remove(0);
    let is_beside = bench
        .search
        .bound
        .as_ref()
        .is_none_or(capacity::speaks_of_direct);
    if descriptor != DIRECT && is_beside {
        subjects.push(DIRECT.to_owned());
    }
    let rate = (!bench.closed).then(|| bench.first_rate());
    let how = match (&bench.search.bound, rate) {
        (Some(bound), Some(rate)) => format!("{bound}, open loop from {rate} on"),
        (None, Some(rate)) => format!("open loop at {rate}"),
        (_, None) if bench.mode == Mode::Statsd => "as fast as it goes".to_owned(),
        (_, None) => "closed loop".to_owned(),
    };
    let (duration, warmup, floor) = bench.search.bound.as_ref().map_or(
        (Duration::from_secs(3), Duration::from_secs(1), FLOOR),
        capacity::times,
    );
    let duration = bench.duration.unwrap_or(duration);
    let warmup = bench.warmup.unwrap_or(warmup);
    let is_statsd = bench.mode == Mode::Statsd;
    let connections = if is_statsd {
        lines::SENDERS
    } else {
        CONNECTIONS
    };
    let connections = bench.connections.unwrap_or(connections);
    let pipeline = bench.pipeline.unwrap_or(1);
    let mut description = format!("{how}, {connections} connections, {pipeline} in flight on each");
    if let Some(requests) = bench.requests_per_connection {
        description.push_str(&format!(", a new connection after {requests} requests"));
    }
    if is_statsd {
        let packed = bench.lines_per_datagram.as_deref().unwrap_or("1");
        description = format!("{how}, lines per datagram: {packed}");
    }
    let load = Load {
        mode: bench.mode,
        rate,
        closed: bench.closed && !is_statsd,
        max: bench.closed && is_statsd,
        lines_per_datagram: bench.lines_per_datagram.clone(),
        keys: bench.keys.clone(),
        connections,
        pipeline,
        duration,
        warmup,
        requests_per_connection: bench.requests_per_connection,
        threads: bench.threads,
        floor,
        ..Load::default()
    };
    // A search goes on until something is not answered in time.
    let is_judged = bench.search.bound.is_none();
    let counts = ["failed = 0", "unanswered = 0"]
        .into_iter()
        .filter(|_| is_judged && !is_statsd)
        .filter_map(|text| Expectation::load(text, None, Origin::Implied).ok());
    let valid = Expectation::load("valid", None, Origin::Implied)
        .ok()
        .filter(|_| rate.is_some() && is_judged);
    Scenario {
        name: "bench".to_owned(),
        description,
        timeout: duration
            .saturating_add(warmup)
            .saturating_add(Duration::from_secs(30)),
        rounds: bench.rounds.unwrap_or(ROUNDS),
        upstream: match bench.mode {
            Mode::Foo => vec![Upstream::default()],
            Mode::Tcp => vec![Upstream {
                mode: Server::Echo,
                ..Upstream::default()
            }],
            Mode::Udp => vec![Upstream {
                mode: Server::UdpEcho,
                ..Upstream::default()
            }],
            Mode::Statsd => lines::servers(bench.nodes.map_or(lines::NODES, usize::from)),
        },
        proxy: Proxy {
            mode: bench.mode,
            descriptor,
            against: subjects,
            ..Proxy::default()
        },
        load: vec![load],
        expectations: bench
            .expectations
            .iter()
            .cloned()
            .chain(counts)
            .chain(valid)
            .collect(),
        ..Scenario::default()
    }
}
