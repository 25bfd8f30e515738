//! From the arguments of `loadgen udp` to what it does.

use std::time::Duration;

use serde_json::json;
use service::units::format_duration;

use super::{
    Config, ConfigError, MOST_PIPELINE, Machine, Subject, bad, enough, flags, part, plan, shard,
    within,
};
use crate::args::{LoadArgs, RateArg, SegmentationArg, UdpArgs};
use crate::mix::mix;
use crate::plan::{Datagrams, Wire};
use crate::transport::Transport;

/// Most sockets: as many as `harness upstream udp-echo` tells apart.
const MOST_CLIENTS: usize = 16_384;

/// Shortest timeout: a shorter one would count the scheduler's pauses as losses.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);

/// What the name of a run that is sent by shards comes from, beside its seed.
const OF_SHARDS: u64 = 0x0073_6861_7264;

/// What `loadgen udp` is to do.
#[derive(Clone, Debug)]
pub struct UdpConfig {
    /// The arguments as those of every load: each socket is a connection.
    pub(crate) load: LoadArgs,
    /// What to do.
    pub(crate) config: Config,
}

impl UdpConfig {
    /// Checks `args` and fills in what they leave open. `fresh_seed` is the seed if
    /// none is given.
    ///
    /// # Errors
    /// The first flag that cannot be taken.
    pub fn new(args: &UdpArgs, machine: Machine, fresh_seed: u64) -> Result<Self, ConfigError> {
        within("--clients", args.clients, MOST_CLIENTS)?;
        if let Some(threads) = args.threads
            && threads > args.clients
        {
            return bad(format!(
                "--threads {threads} needs at least as many --clients, got {}",
                args.clients
            ));
        }
        if let Some(window) = args.window {
            within("--window", window, MOST_PIPELINE)?;
            if !args.closed && args.rate != Some(RateArg::Max) {
                return bad(
                    "--window needs --closed or --rate max: at a rate datagrams are sent however \
                     many are on their way"
                        .to_owned(),
                );
            }
        }
        if args.timeout < SHORTEST_TIMEOUT {
            return bad(format!(
                "--timeout {} is too short: at least 1ms",
                format_duration(args.timeout)
            ));
        }
        let load = load(args);
        let seed = args.seed.unwrap_or(fresh_seed);
        let shard = shard(&args.shard, args.seed)?;
        // Another one in each run, so that a server can tell two of the same seed apart;
        // shards are of one run, and have nothing in common but the seed.
        let salt = shard.as_ref().map_or(fresh_seed, |_| OF_SHARDS);
        enough("--clients", args.clients as u64, part(shard.as_ref()))?;
        let datagrams = Datagrams {
            run: (mix(seed, salt) >> 32) as u32,
            timeout: args.timeout,
            segments: args.segmentation == SegmentationArg::Auto,
        };
        let subject = Subject {
            wire: Wire::Datagrams(datagrams),
            payload: args.payload,
            transport: Transport::default(),
            idle: 0,
        };
        let plan = plan(&load, subject, machine, fresh_seed, shard.as_ref())?;
        let mut flags = flags(&load, &plan, shard.as_ref());
        for of_connections in [
            "connections",
            "pipeline",
            "requests-per-connection",
            "connect-timeout",
            "max-backlog",
        ] {
            flags.remove(of_connections);
        }
        let window = plan.mode.rate().is_none().then_some(plan.pipeline);
        let more = [
            ("clients", json!(plan.connections)),
            ("window", json!(window)),
            ("timeout", json!(format_duration(args.timeout))),
            ("segmentation", json!(args.segmentation)),
        ];
        flags.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let config = Config {
            plan,
            flags,
            program: "loadgen udp",
            shard,
        };
        Ok(Self { load, config })
    }
}

fn load(args: &UdpArgs) -> LoadArgs {
    LoadArgs {
        connect: args.connect.clone(),
        rate: args.rate,
        closed: args.closed,
        connections: args.clients,
        pipeline: args.window,
        duration: args.duration,
        requests: args.requests,
        arrivals: args.arrivals,
        pacer: args.pacer,
        seed: args.seed,
        threads: args.threads,
        warmup: args.warmup,
        interval: args.interval,
        requests_per_connection: 0,
        floor: args.floor,
        drain: args.drain.unwrap_or(args.timeout),
        // Nothing is connected to, and nothing waits.
        connect_timeout: Duration::from_secs(1),
        max_backlog: None,
        hlog: args.hlog.clone(),
        outputs: args.outputs.clone(),
        shard: args.shard.clone(),
    }
}
