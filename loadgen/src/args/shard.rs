//! The flags of a load that several machines send together.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use service::units::{format_duration, parse_duration};

/// Most shards: more than any engine starts together.
pub(crate) const MOST_SHARDS: u64 = 100_000;

/// One load on several machines.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "One load on several machines")]
pub struct ShardArgs {
    /// Send every N-th request of the load, from number I (0 to N-1) on; with `auto` I and
    /// N are what Open MPI, MPICH or Slurm say, with `auto/N` also what an indexed Job of
    /// Kubernetes or Nomad says. Rates, requests and connections are those of all shards
    #[arg(long, value_name = "I/N|auto|auto/N")]
    pub shard: Option<ShardArg>,

    /// Start at this moment, in seconds of the Unix epoch such as 1767225600.5, or this
    /// long from now such as +10s; it must be the same moment in all shards. With
    /// `together` they agree on one in --out, 5s (or as in together+30s) after all are there
    #[arg(long, value_name = "UNIX|+TIME|together", allow_hyphen_values = true)]
    pub start_at: Option<StartAt>,

    /// Be ready at most this long after the start: past it the run is invalid [default:
    /// 100ms]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub start_within: Option<Duration>,

    /// Write the record to shard-I-of-N.json in this directory, for `harness merge`
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardArg {
    /// This one of so many.
    Given {
        /// Its number, from 0.
        index: u64,
        /// How many there are.
        count: u64,
    },
    /// As the environment says, which must say how many there are unless that is given.
    Auto {
        /// How many there are.
        count: Option<u64>,
    },
}

impl FromStr for ShardArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || {
            format!(
                "expected the number of this shard, from 0, and how many there are, such as 0/4 \
                 or 3/4, or auto, or auto/4, got {text:?}"
            )
        };
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u64>().ok().filter(|_| plain)
        };
        if text == "auto" {
            return Ok(Self::Auto { count: None });
        }
        let (index, count) = text.split_once('/').ok_or_else(shape)?;
        let count = number(count).ok_or_else(shape)?;
        if !(1..=MOST_SHARDS).contains(&count) {
            return Err(format!(
                "there may be 1 to {MOST_SHARDS} shards, got {text:?}"
            ));
        }
        if index == "auto" {
            return Ok(Self::Auto { count: Some(count) });
        }
        let index = number(index).ok_or_else(shape)?;
        if index >= count {
            return Err(format!(
                "{count} shards are numbered from 0/{count} to {}/{count}, got {text:?}",
                count - 1
            ));
        }
        Ok(Self::Given { index, count })
    }
}

/// `--start-at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At this moment, in nanoseconds of the Unix epoch.
    Unix(u64),
    /// This long from now.
    In(Duration),
    /// This long after all shards are there.
    Together(Duration),
}

/// From the meeting of all shards to their start, if nothing else is asked for: time to hear
/// of it and to open connections.
const TOGETHER: Duration = Duration::from_secs(5);

impl FromStr for StartAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = match (text.split_once('+'), text) {
            (None, "together") => Some(Self::Together(TOGETHER)),
            (Some(("", wait)), _) => parse_duration(wait).ok().map(Self::In),
            (Some(("together", wait)), _) => parse_duration(wait).ok().map(Self::Together),
            _ => unix_nanos(text).map(Self::Unix),
        };
        moment.ok_or_else(|| {
            format!(
                "expected seconds of the Unix epoch such as 1767225600 or 1767225600.5, or a time \
                 from now such as +10s, or together, or together+30s, got {text:?}"
            )
        })
    }
}

/// Seconds, with up to nine digits after a point, as nanoseconds.
fn unix_nanos(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse::<u64>().ok()?;
    let seconds = whole.parse::<u64>().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

impl fmt::Display for StartAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(nanos) => {
                let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                let text = format!("{seconds}.{rest:09}");
                f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
            }
            Self::In(wait) => write!(f, "+{}", format_duration(*wait)),
            Self::Together(wait) => write!(f, "together+{}", format_duration(*wait)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_a_number_of_so_many() {
        let given = |index, count| Ok(ShardArg::Given { index, count });
        let auto = |count| Ok(ShardArg::Auto { count });
        assert_eq!("0/1".parse(), given(0, 1));
        assert_eq!("7/1000".parse(), given(7, 1000));
        assert_eq!("auto".parse(), auto(None));
        assert_eq!("auto/8".parse(), auto(Some(8)));
        for (text, expected) in [
            ("4/4", "from 0/4 to 3/4"),
            ("0/0", "1 to 100000 shards"),
            ("auto/0", "1 to 100000 shards"),
            ("0/100001", "1 to 100000 shards"),
            ("3", "such as 0/4"),
            ("", "such as 0/4"),
            ("/4", "such as 0/4"),
            ("1/", "such as 0/4"),
            ("+1/4", "such as 0/4"),
            ("-1/4", "such as 0/4"),
            ("1/4/5", "such as 0/4"),
            ("auto/x", "such as 0/4"),
            ("Auto", "such as 0/4"),
        ] {
            let error = text.parse::<ShardArg>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_start_is_a_moment_or_some_time_from_now() {
        let unix = |nanos| Ok(StartAt::Unix(nanos));
        assert_eq!("1767225600".parse(), unix(1_767_225_600_000_000_000));
        assert_eq!("1767225600.5".parse(), unix(1_767_225_600_500_000_000));
        assert_eq!("0.000000001".parse(), unix(1));
        assert_eq!("+10s".parse(), Ok(StartAt::In(Duration::from_secs(10))));
        assert_eq!("+0".parse(), Ok(StartAt::In(Duration::ZERO)));
        let together = |seconds| Ok(StartAt::Together(Duration::from_secs(seconds)));
        assert_eq!("together".parse(), together(5));
        assert_eq!("together+30s".parse(), together(30));
        for text in [
            "",
            "soon",
            "10s",
            "+",
            "+10",
            "-1",
            "1.",
            ".5",
            "1.0000000001",
            "1e9",
            "together+",
            "together-5s",
            "99999999999999",
        ] {
            assert!(text.parse::<StartAt>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_start_is_told_as_it_is_given() {
        for text in ["1767225600", "1767225600.25", "+10s", "together+5s"] {
            assert_eq!(text.parse::<StartAt>().unwrap().to_string(), text);
        }
    }
}
