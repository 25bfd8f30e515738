//! From arguments to a plan: defaults, and what contradicts what.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use service::addr::HostPort;
use service::units::format_duration;

use crate::args::{FooArgs, LoadArgs, RateArg};
use crate::mix::mix;
use crate::pacer::{Pacer, PacerChoice};
use crate::payload::Lengths;
use crate::plan::{Mode, Plan, Wire};
use crate::schedule::Arrivals;
use crate::shard::ShardPlan;
use crate::stride::Stride;
use crate::transport::Transport;

mod shard;
mod statsd;
mod tcp;
mod udp;

use shard::{enough, part, per_shard, shard, shard_flags, still_ahead};
pub use statsd::StatsdConfig;
pub use tcp::TcpConfig;
pub use udp::UdpConfig;

/// How long a run with a number of requests may take: a target that never answers must
/// not keep it for ever.
const LONGEST_COUNT: Duration = Duration::from_secs(600);

/// Arguments that cannot be carried out. Each names the flag and what is accepted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Requests per second if nothing else is asked for.
const DEFAULT_RATE: f64 = 10_000.0;

/// Requests per second that one worker is trusted with before another is started: far
/// below what it can do, so that a burst after a pause is caught up with quickly.
const RATE_PER_THREAD: f64 = 250_000.0;

/// Most requests on one connection: with the longest data, their bytes still fit in
/// memory many times.
pub const MOST_PIPELINE: usize = 10_000;

/// Most worker threads: more than any machine has cores to run them.
pub const MOST_THREADS: usize = 1_024;

/// Descriptors that are not connections: standard streams, event loops, outputs.
const OTHER_DESCRIPTORS: u64 = 64;

/// Shortest slice of the record.
pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// How many connections a client can have that may open this many descriptors.
#[must_use]
pub fn most_connections(descriptors: u64) -> u64 {
    descriptors.saturating_sub(OTHER_DESCRIPTORS)
}

/// A plan, and every flag as it took effect.
#[derive(Clone, Debug)]
pub struct Config {
    /// What to do.
    pub plan: Plan,
    /// Every flag by its long name.
    pub flags: BTreeMap<String, Value>,
    /// The program and its mode.
    pub program: &'static str,
    /// The shard that it is, if others do the rest.
    pub(crate) shard: Option<ShardPlan>,
}

/// What a load is about, beside what every load has.
struct Subject {
    wire: Wire,
    payload: Lengths,
    transport: Transport,
    /// Connections beside those that work.
    idle: usize,
}

/// What the machine gives.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Descriptors that it may open.
    pub descriptors: u64,
}

impl Machine {
    /// Looks, and raises the limit of descriptors as far as it may be raised.
    #[must_use]
    pub fn look() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        let now = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(_) => limit.current,
        };
        Self {
            cores: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            descriptors: now.unwrap_or(u64::MAX),
        }
    }
}

impl Config {
    /// Checks `args` and fills in what they leave open. `fresh_seed` is the seed if
    /// none is given.
    ///
    /// # Errors
    /// The first flag that cannot be taken.
    pub fn new(args: &FooArgs, machine: Machine, fresh_seed: u64) -> Result<Self, ConfigError> {
        let subject = Subject {
            wire: Wire::Foo(args.verify),
            payload: args.payload,
            transport: Transport::default(),
            idle: 0,
        };
        let shard = shard(&args.load.shard, args.load.seed)?;
        let plan = plan(&args.load, subject, machine, fresh_seed, shard.as_ref())?;
        let mut flags = flags(&args.load, &plan, shard.as_ref());
        flags.insert("verify".to_owned(), json!(args.verify));
        Ok(Self {
            plan,
            flags,
            program: "loadgen foo",
            shard,
        })
    }
}

fn plan(
    args: &LoadArgs,
    subject: Subject,
    machine: Machine,
    fresh_seed: u64,
    shard: Option<&ShardPlan>,
) -> Result<Plan, ConfigError> {
    let part = part(shard);
    let mode = mode(args)?;
    let open = matches!(mode, Mode::Open { .. });
    if !open {
        let only_open = [
            (args.arrivals.is_some(), "--arrivals"),
            (args.pacer.is_some(), "--pacer"),
            (args.max_backlog.is_some(), "--max-backlog"),
        ];
        if let Some((_, flag)) = only_open.iter().find(|(given, _)| *given) {
            return bad(format!(
                "{flag} needs a rate: it means nothing with --closed or --rate max"
            ));
        }
    }
    at_least_one("--connections", args.connections as u64)?;
    enough("--connections", args.connections as u64, part)?;
    let most = most_connections(machine.descriptors);
    let own = part.share(args.connections as u64);
    if own > most {
        return bad(format!(
            "--connections {} is above what the limit of open descriptors allows: at most {most}{} \
             (ulimit -Hn)",
            args.connections,
            per_shard(part)
        ));
    }
    if own.saturating_add(part.share(subject.idle as u64)) > most {
        return bad(format!(
            "--connections {} and --idle {} are above what the limit of open descriptors allows: \
             at most {most}{} (ulimit -Hn)",
            args.connections,
            subject.idle,
            per_shard(part)
        ));
    }
    let pipeline = args.pipeline.unwrap_or(match mode {
        Mode::Open { .. } => 16,
        Mode::Closed => 1,
        Mode::Max => 64,
    });
    within("--pipeline", pipeline, MOST_PIPELINE)?;
    let threads = threads(args, mode, part, machine.cores)?;
    if let Some(requests) = args.requests {
        at_least_one("--requests", requests)?;
        enough("--requests", requests, part)?;
    }
    if args.duration == Some(Duration::ZERO) {
        return bad("--duration must be longer than 0".to_owned());
    }
    if args.interval < SHORTEST_INTERVAL {
        return bad(format!(
            "--interval {} is too short: at least 10ms",
            format_duration(args.interval)
        ));
    }
    if args.connect_timeout.is_zero() {
        return bad("--connect-timeout must be longer than 0".to_owned());
    }
    let pacer = match mode {
        Mode::Open { .. } => Pacer::choose(args.pacer.unwrap_or_default(), threads, machine.cores),
        Mode::Closed | Mode::Max => Pacer::None,
    };
    let limited = args.requests.is_some();
    let plan = Plan {
        part,
        start_unix_ns: shard.map(|shard| shard.start_unix_ns),
        targets: targets(&args.connect, args.outputs.allow_remote)?,
        mode,
        connections: args.connections,
        pipeline,
        threads,
        seed: args.seed.unwrap_or(fresh_seed),
        payload: subject.payload,
        wire: subject.wire,
        transport: subject.transport,
        warmup: args
            .warmup
            .unwrap_or(Duration::from_secs(u64::from(!limited))),
        duration: args.duration.or(Some(if limited {
            LONGEST_COUNT
        } else {
            Duration::from_secs(10)
        })),
        requests: args.requests,
        interval: args.interval,
        drain: args.drain,
        connect_timeout: args.connect_timeout,
        requests_per_connection: args.requests_per_connection,
        max_backlog: max_backlog(args, mode)?,
        pacer,
    };
    if let Some(shard) = shard {
        still_ahead(shard, plan.warmup, plan.duration)?;
    }
    Ok(plan)
}

/// A seed that differs from run to run, small enough for every reader of JSON.
#[must_use]
pub fn fresh_seed() -> u64 {
    mix(service::clock::mono_ns(), u64::from(std::process::id())) >> 12
}

fn bad<T>(text: String) -> Result<T, ConfigError> {
    Err(ConfigError(text))
}

fn at_least_one(flag: &str, value: u64) -> Result<(), ConfigError> {
    if value == 0 {
        bad(format!("{flag} must be at least 1, got 0"))
    } else {
        Ok(())
    }
}

fn within(flag: &str, value: usize, most: usize) -> Result<(), ConfigError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    bad(format!("{flag} must be from 1 to {most}, got {value}"))
}

fn mode(args: &LoadArgs) -> Result<Mode, ConfigError> {
    let arrivals = args.arrivals.unwrap_or_default();
    match (args.closed, args.rate) {
        (true, Some(rate)) => bad(format!(
            "--closed contradicts --rate {rate}: a closed loop has no rate, its answers make the next requests due"
        )),
        (true, None) => Ok(Mode::Closed),
        (false, Some(RateArg::Max)) => Ok(Mode::Max),
        (false, Some(RateArg::Fixed(rate))) => Ok(Mode::Open {
            rate: rate.per_second(),
            arrivals,
        }),
        (false, None) => Ok(Mode::Open {
            rate: DEFAULT_RATE,
            arrivals,
        }),
    }
}

fn threads(args: &LoadArgs, mode: Mode, part: Stride, cores: usize) -> Result<usize, ConfigError> {
    let connections = part.share(args.connections as u64) as usize;
    if let Some(threads) = args.threads {
        within("--threads", threads, MOST_THREADS)?;
        if threads > connections {
            return bad(format!(
                "--threads {threads} needs at least as many --connections{}, got {connections}",
                per_shard(part)
            ));
        }
        return Ok(threads);
    }
    let wanted = match mode.rate() {
        Some(rate) => (rate / part.step as f64 / RATE_PER_THREAD).ceil() as usize,
        None => cores,
    };
    Ok(wanted.clamp(1, cores.min(connections)))
}

fn max_backlog(args: &LoadArgs, mode: Mode) -> Result<u64, ConfigError> {
    if let Some(most) = args.max_backlog {
        at_least_one("--max-backlog", most)?;
        return Ok(most);
    }
    Ok(mode
        .rate()
        .map_or(10_000.0, |rate| rate * 10.0)
        .max(10_000.0) as u64)
}

fn targets(
    connect: &HostPort,
    allow_remote: bool,
) -> Result<Vec<std::net::SocketAddr>, ConfigError> {
    if connect.port() == 0 {
        return bad(format!("--connect {connect}: nothing listens on port 0"));
    }
    let targets = connect
        .connect_candidates()
        .map_err(|error| ConfigError(format!("--connect {connect}: {error}")))?;
    if !allow_remote && !targets.iter().all(|target| target.ip().is_loopback()) {
        return bad(format!(
            "--connect {connect} is not on this machine: load goes only to loopback addresses unless --allow-remote is given"
        ));
    }
    Ok(targets)
}

fn flags(args: &LoadArgs, plan: &Plan, shard: Option<&ShardPlan>) -> BTreeMap<String, Value> {
    let time = |duration: Duration| json!(format_duration(duration));
    let path =
        |path: &Option<std::path::PathBuf>| json!(path.as_ref().map(|p| p.display().to_string()));
    let arrivals = match plan.mode {
        Mode::Open {
            arrivals: Arrivals::Uniform,
            ..
        } => json!("uniform"),
        Mode::Open {
            arrivals: Arrivals::Poisson,
            ..
        } => json!("poisson"),
        Mode::Closed | Mode::Max => Value::Null,
    };
    let open = plan.mode.rate().is_some();
    let rate = match plan.mode {
        Mode::Open { rate, .. } => json!(rate),
        Mode::Max => json!("max"),
        Mode::Closed => Value::Null,
    };
    let flags = [
        ("connect", json!(args.connect)),
        ("rate", rate),
        ("closed", json!(args.closed)),
        ("connections", json!(plan.connections)),
        ("pipeline", json!(plan.pipeline)),
        ("duration", plan.duration.map_or(Value::Null, time)),
        ("requests", json!(plan.requests)),
        ("arrivals", arrivals),
        (
            "pacer",
            json!(open.then(|| args.pacer.unwrap_or(PacerChoice::Auto))),
        ),
        ("seed", json!(plan.seed)),
        ("threads", json!(plan.threads)),
        ("payload", json!(plan.payload)),
        ("warmup", time(plan.warmup)),
        ("interval", time(plan.interval)),
        (
            "requests-per-connection",
            json!(plan.requests_per_connection),
        ),
        ("floor", time(args.floor)),
        ("drain", time(plan.drain)),
        ("connect-timeout", time(plan.connect_timeout)),
        ("max-backlog", json!(open.then_some(plan.max_backlog))),
        ("json", path(&args.outputs.json)),
        ("hlog", path(&args.hlog)),
        ("allow-remote", json!(args.outputs.allow_remote)),
        ("quiet", json!(args.outputs.quiet)),
    ];
    flags
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(shard_flags(shard))
        .collect()
}
