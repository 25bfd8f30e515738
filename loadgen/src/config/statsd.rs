//! From the arguments of `loadgen statsd` to what it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use service::units::format_duration;

use super::{
    ConfigError, DEFAULT_RATE, LONGEST_COUNT, MOST_THREADS, Machine, SHORTEST_INTERVAL,
    at_least_one, bad, enough, most_connections, part, per_shard, shard, shard_flags, still_ahead,
    targets, within,
};
use crate::args::{PackArg, RateArg, SegmentationArg, StatsdArgs};
use crate::pacer::{Pacer, PacerChoice};
use crate::schedule::Arrivals;
use crate::shard::ShardPlan;
use crate::statsd::{Lines, MOST_KEYS, Pace, StatsdPlan, Text};
use crate::stride::Stride;

/// Lines per second that one worker is trusted with before another is started: less than
/// half of what it can do in full datagrams.
const RATE_PER_THREAD: f64 = 1_000_000.0;

/// Longest datagram over IPv4; IPv6 has room for 20 bytes more.
const LONGEST_DATAGRAM: usize = 65_507;

/// Longest sender's name: sinks keep them.
const LONGEST_PREFIX: usize = 64;

/// What `loadgen statsd` is to do.
#[derive(Clone, Debug)]
pub struct StatsdConfig {
    /// What to do.
    pub(crate) plan: StatsdPlan,
    /// Every flag by its long name.
    pub(crate) flags: BTreeMap<String, Value>,
    /// The shard that it is, if others do the rest.
    pub(crate) shard: Option<ShardPlan>,
}

impl StatsdConfig {
    /// Checks `args` and fills in what they leave open. `fresh_seed` is the seed if
    /// none is given.
    ///
    /// # Errors
    /// The first flag that cannot be taken.
    pub fn new(args: &StatsdArgs, machine: Machine, fresh_seed: u64) -> Result<Self, ConfigError> {
        let pace = pace(args)?;
        let seed = args.seed.unwrap_or(fresh_seed);
        check_text(args)?;
        let lines = Lines::new(&Text {
            sender: &args.prefix,
            keys: args.keys,
            popularity: args.popularity,
            types: &args.types,
            sample_rate: args.sample_rate,
            tags: &args.tags,
            seed,
        });
        if !(lines.longest()..=LONGEST_DATAGRAM).contains(&args.mtu) {
            return bad(format!(
                "--mtu must be from {} (the longest line) to {LONGEST_DATAGRAM}, got {}",
                lines.longest(),
                args.mtu
            ));
        }
        let shard = shard(&args.shard, args.seed)?;
        let part = part(shard.as_ref());
        let (connections, threads) = crew(args, pace, part, machine)?;
        check_times(args)?;
        if let Some(lines) = args.lines {
            at_least_one("--lines", lines)?;
        }
        let limited = args.lines.is_some();
        let plan = StatsdPlan {
            part,
            start_unix_ns: shard.as_ref().map(|shard| shard.start_unix_ns),
            targets: targets(&args.connect, args.outputs.allow_remote)?,
            way: args.transport,
            pace,
            pack: match args.lines_per_datagram {
                PackArg::Lines(lines) => lines,
                PackArg::Full => ((args.mtu + 1) / (lines.longest() + 1)) as u64,
            },
            mtu: args.mtu,
            segments: args.segmentation == SegmentationArg::Auto,
            lines: Arc::new(lines),
            connections,
            threads,
            seed,
            warmup: args
                .warmup
                .unwrap_or(Duration::from_secs(u64::from(!limited))),
            duration: args.duration.or(Some(if limited {
                LONGEST_COUNT
            } else {
                Duration::from_secs(10)
            })),
            measured_lines: args.lines,
            interval: args.interval,
            drain: args.drain,
            connect_timeout: args.connect_timeout,
            pacer: match pace {
                Pace::Max => Pacer::None,
                _ => Pacer::choose(args.pacer.unwrap_or_default(), threads, machine.cores),
            },
        };
        if let Some(lines) = plan.measured_lines {
            enough("--lines, in datagrams,", lines.div_ceil(plan.pack), part)?;
        }
        if let Some(shard) = &shard {
            still_ahead(shard, plan.warmup, plan.duration)?;
        }
        let flags = flags(args, &plan, shard.as_ref());
        Ok(Self { plan, flags, shard })
    }
}

fn pace(args: &StatsdArgs) -> Result<Pace, ConfigError> {
    if let Some(burst) = args.burst {
        if args.arrivals.is_some() {
            return bad("--arrivals contradicts --burst: its lines are due all at once".to_owned());
        }
        return Ok(Pace::Bursts {
            lines: burst.lines,
            every: burst.every,
        });
    }
    let rate = match args.rate {
        None if args.max => RateArg::Max,
        None => {
            return Ok(Pace::Rate {
                rate: DEFAULT_RATE,
                arrivals: args.arrivals.unwrap_or_default(),
            });
        }
        Some(rate) => rate,
    };
    match rate {
        RateArg::Fixed(rate) => Ok(Pace::Rate {
            rate: rate.per_second(),
            arrivals: args.arrivals.unwrap_or_default(),
        }),
        RateArg::Max if args.arrivals.is_some() => {
            bad("--arrivals needs a rate: it means nothing with --max".to_owned())
        }
        RateArg::Max if args.pacer.is_some() => {
            bad("--pacer needs a rate: it means nothing with --max".to_owned())
        }
        RateArg::Max => Ok(Pace::Max),
    }
}

fn check_text(args: &StatsdArgs) -> Result<(), ConfigError> {
    if !(1..=MOST_KEYS).contains(&args.keys) {
        return bad(format!(
            "--keys must be from 1 to {MOST_KEYS}, got {}",
            args.keys
        ));
    }
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if args.prefix.is_empty()
        || args.prefix.len() > LONGEST_PREFIX
        || !args.prefix.bytes().all(in_name)
    {
        return bad(format!(
            "--prefix must be 1 to {LONGEST_PREFIX} letters, digits, _ or -, got {:?}",
            args.prefix
        ));
    }
    if let Some(rate) = args.sample_rate
        && !(rate > 0.0 && rate <= 1.0)
    {
        return bad(format!(
            "--sample-rate must be above 0 and at most 1, got {rate}"
        ));
    }
    let in_tag = |byte: u8| byte.is_ascii_graphic() && byte != b'|' && byte != b'#';
    match args
        .tags
        .iter()
        .find(|tag| tag.is_empty() || !tag.bytes().all(in_tag))
    {
        Some(tag) => bad(format!(
            "--tags must be like env:test,host:a without spaces, | or #, got {tag:?}"
        )),
        None => Ok(()),
    }
}

fn check_times(args: &StatsdArgs) -> Result<(), ConfigError> {
    if args.duration == Some(Duration::ZERO) {
        return bad("--duration must be longer than 0".to_owned());
    }
    if args.connect_timeout.is_zero() {
        return bad("--connect-timeout must be longer than 0".to_owned());
    }
    if args.interval < SHORTEST_INTERVAL {
        return bad(format!(
            "--interval {} is too short: at least 10ms",
            format_duration(args.interval)
        ));
    }
    Ok(())
}

/// Sockets and threads.
fn crew(
    args: &StatsdArgs,
    pace: Pace,
    part: Stride,
    machine: Machine,
) -> Result<(usize, usize), ConfigError> {
    if let Some(connections) = args.connections {
        at_least_one("--connections", connections as u64)?;
        enough("--connections", connections as u64, part)?;
        let most = most_connections(machine.descriptors);
        if part.share(connections as u64) > most {
            return bad(format!(
                "--connections {connections} is above what the limit of open descriptors allows: \
                 at most {most}{} (ulimit -Hn)",
                per_shard(part)
            ));
        }
    }
    let given = args.connections.map(|all| part.share(all as u64) as usize);
    let threads = match args.threads {
        Some(threads) => {
            within("--threads", threads, MOST_THREADS)?;
            threads
        }
        None => {
            let wanted = match pace {
                Pace::Rate { rate, .. } => {
                    (rate / part.step as f64 / RATE_PER_THREAD).ceil() as usize
                }
                Pace::Bursts { .. } => 1,
                Pace::Max => machine.cores,
            };
            let most = given.unwrap_or(usize::MAX).min(machine.cores);
            wanted.clamp(1, most)
        }
    };
    let connections = given.unwrap_or(threads);
    if threads > connections {
        return bad(format!(
            "--threads {threads} needs at least as many --connections{}, got {connections}",
            per_shard(part)
        ));
    }
    Ok((connections, threads))
}

fn flags(
    args: &StatsdArgs,
    plan: &StatsdPlan,
    shard: Option<&ShardPlan>,
) -> BTreeMap<String, Value> {
    let time = |duration: Duration| json!(format_duration(duration));
    let arrivals = match plan.pace {
        Pace::Rate { arrivals, .. } => match arrivals {
            Arrivals::Uniform => json!("uniform"),
            Arrivals::Poisson => json!("poisson"),
        },
        Pace::Bursts { .. } | Pace::Max => Value::Null,
    };
    let rate = match plan.pace {
        Pace::Rate { rate, .. } => json!(rate),
        Pace::Max => json!("max"),
        Pace::Bursts { .. } => Value::Null,
    };
    let open = plan.rate().is_some();
    // One for each thread is as many as a machine has, and no part of what is asked for.
    let connections = match shard {
        Some(_) => args.connections,
        None => Some(plan.connections),
    };
    let pacer = open.then(|| args.pacer.unwrap_or(PacerChoice::Auto));
    let flags = [
        ("connect", json!(args.connect)),
        ("rate", rate),
        ("max", json!(plan.pace == Pace::Max)),
        ("burst", json!(args.burst.map(|burst| burst.to_string()))),
        ("transport", json!(args.transport)),
        ("lines-per-datagram", json!(plan.pack)),
        ("mtu", json!(plan.mtu)),
        ("lines", json!(plan.measured_lines)),
        ("keys", json!(args.keys)),
        ("popularity", json!(args.popularity)),
        ("types", json!(args.types)),
        ("sample-rate", json!(args.sample_rate)),
        ("tags", json!(args.tags)),
        ("prefix", json!(args.prefix)),
        ("connections", json!(connections)),
        ("segmentation", json!(args.segmentation)),
        ("duration", plan.duration.map_or(Value::Null, time)),
        ("warmup", time(plan.warmup)),
        ("interval", time(plan.interval)),
        ("arrivals", arrivals),
        ("pacer", json!(pacer)),
        ("seed", json!(plan.seed)),
        ("threads", json!(plan.threads)),
        ("drain", time(plan.drain)),
        ("connect-timeout", time(plan.connect_timeout)),
        (
            "json",
            json!(
                args.outputs
                    .json
                    .as_ref()
                    .map(|path| path.display().to_string())
            ),
        ),
        ("allow-remote", json!(args.outputs.allow_remote)),
        ("quiet", json!(args.outputs.quiet)),
    ];
    flags
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(shard_flags(shard))
        .collect()
}
