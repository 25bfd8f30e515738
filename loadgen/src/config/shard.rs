//! From the flags of a shard to what it is.

use std::time::Duration;

use serde_json::{Value, json};
use service::units::format_duration;

use super::{ConfigError, bad};
use crate::args::{ShardArgs, StartAt};
use crate::plan::nanos;
use crate::shard::{ShardPlan, engine};
use crate::start::unix_ns;
use crate::stride::Stride;

/// How late a shard may be if nothing else is asked for.
const START_WITHIN: Duration = Duration::from_millis(100);

/// Furthest start: no engine needs that long to start its tasks.
const FURTHEST: Duration = Duration::from_secs(24 * 3_600);

/// The shard that is asked for, if one is.
pub(super) fn shard(args: &ShardArgs, seed: Option<u64>) -> Result<Option<ShardPlan>, ConfigError> {
    let Some(asked) = args.shard else {
        let of_shards = [
            (args.start_at.is_some(), "--start-at"),
            (args.start_within.is_some(), "--start-within"),
            (args.out.is_some(), "--out"),
        ];
        return match of_shards.iter().find(|(given, _)| *given) {
            Some((_, flag)) => bad(format!("{flag} needs --shard, such as --shard 0/4")),
            None => Ok(None),
        };
    };
    let place = engine::place(asked, &|name| std::env::var(name).ok()).map_err(ConfigError)?;
    let Some(start_at) = args.start_at else {
        return bad(
            "--shard needs --start-at: all shards start at the same moment, in seconds of the \
             Unix epoch such as 1767225600, or +10s from now, or together"
                .to_owned(),
        );
    };
    if seed.is_none() {
        return bad(
            "--shard needs --seed, such as --seed 1: all shards draw from the same".to_owned(),
        );
    }
    let Some(out) = args.out.clone() else {
        return bad("--shard needs --out DIR: its record goes there".to_owned());
    };
    let now = unix_ns();
    let start_unix_ns = match start_at {
        StartAt::Unix(moment) => moment,
        // Together: not before that.
        StartAt::In(wait) | StartAt::Together(wait) => now.saturating_add(nanos(wait)),
    };
    let ahead = start_unix_ns.saturating_sub(now);
    if ahead > nanos(FURTHEST) {
        return bad(format!(
            "--start-at {start_at} is {} h ahead: at most 24 h are accepted, in seconds of the \
             Unix epoch",
            ahead / 3_600_000_000_000
        ));
    }
    Ok(Some(ShardPlan {
        place,
        start_at,
        start_unix_ns,
        start_within: args.start_within.unwrap_or(START_WITHIN),
        out,
    }))
}

/// What of the whole is to be done here.
pub(super) fn part(shard: Option<&ShardPlan>) -> Stride {
    shard.map_or(Stride::ALL, ShardPlan::part)
}

/// Refuses a run that would be over already: nothing of it could be sent in time.
pub(super) fn still_ahead(
    shard: &ShardPlan,
    warmup: Duration,
    duration: Option<Duration>,
) -> Result<(), ConfigError> {
    let Some(duration) = duration else {
        return Ok(());
    };
    let lasts = nanos(warmup.saturating_add(duration));
    let over = unix_ns().checked_sub(shard.start_unix_ns.saturating_add(lasts));
    match over {
        None => Ok(()),
        Some(since) => bad(format!(
            "--start-at {}: that run has been over for {} s",
            shard.start_at,
            since / 1_000_000_000
        )),
    }
}

/// Refuses what cannot be shared out so that each shard has some.
pub(super) fn enough(flag: &str, number: u64, part: Stride) -> Result<(), ConfigError> {
    if number >= part.step {
        return Ok(());
    }
    bad(format!(
        "{flag} {number} is less than one for each of {} shards",
        part.step
    ))
}

/// What to say of a number that is a shard's own.
pub(super) fn per_shard(part: Stride) -> &'static str {
    match part {
        Stride::ALL => "",
        _ => " in each shard",
    }
}

/// The flags as they took effect.
pub(super) fn shard_flags(shard: Option<&ShardPlan>) -> impl Iterator<Item = (String, Value)> {
    let flags = shard.map(|shard| {
        let place = &shard.place;
        [
            ("shard", json!(format!("{}/{}", place.index, place.count))),
            ("start-at", json!(shard.start_at.to_string())),
            ("start-within", json!(format_duration(shard.start_within))),
            ("out", json!(shard.out.display().to_string())),
        ]
    });
    let flags = flags.into_iter().flatten();
    flags.map(|(name, value)| (name.to_owned(), value))
}
