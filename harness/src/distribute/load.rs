//! The load that is to be distributed: checked here, before anything is submitted.

use std::ffi::OsString;

use loadgen::args::{Cli, Command};
use loadgen::config::{Config, Machine, StatsdConfig, TcpConfig, UdpConfig};

/// The words of loadgen's command line that each shard is started with, apart from those
/// that say which shard it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// What stands after `loadgen`.
    pub words: Vec<String>,
    /// What all shards draw their randomness from.
    pub seed: u64,
}

/// Why a load cannot be distributed: one line that names what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(String);

/// Flags that each shard is given here, or that would have all of them write to one place.
const NOT_TAKEN: [(&str, &str); 7] = [
    ("--shard", "each shard is told which it is"),
    ("--start-at", "give --start-after before the --"),
    ("--out", "give --out before the --"),
    ("--json", "all shards would write the same file"),
    ("--hlog", "all shards would write the same file"),
    ("--events-fd", "no descriptor reaches another machine"),
    ("--ready-fd", "no descriptor reaches another machine"),
];

impl Load {
    /// Checks what stands after `--`, as a load in `count` shards. `fresh_seed` is taken
    /// if it names no seed.
    ///
    /// # Errors
    /// The first thing that loadgen would not take, or that cannot be distributed.
    pub fn new(words: &[String], count: u64, fresh_seed: u64) -> Result<Self, LoadError> {
        let mut words = words.to_vec();
        if words.first().is_some_and(|word| word == "loadgen") {
            words.remove(0);
        }
        for (flag, why) in NOT_TAKEN {
            let is_given = |word: &String| {
                let rest = word.strip_prefix(flag);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            };
            if words.iter().any(is_given) {
                return Err(LoadError(format!(
                    "{flag} cannot be given to a load that is distributed: {why}"
                )));
            }
        }
        let seed = match seed_of(&parsed(&words)?)? {
            Some(seed) => seed,
            None => {
                words.extend(["--seed".to_owned(), fresh_seed.to_string()]);
                fresh_seed
            }
        };
        check(&words, count, seed)?;
        Ok(Self { words, seed })
    }
}

/// What loadgen makes of these words.
fn parsed(words: &[String]) -> Result<Command, LoadError> {
    let args = std::iter::once("loadgen").chain(words.iter().map(String::as_str));
    let cli: Cli = service::cli::check(args.map(OsString::from)).map_err(LoadError)?;
    Ok(cli.command)
}

fn seed_of(command: &Command) -> Result<Option<u64>, LoadError> {
    match command {
        Command::Foo(args) => Ok(args.load.seed),
        Command::Tcp(args) => Ok(args.load.seed),
        Command::Udp(args) => Ok(args.seed),
        Command::Statsd(args) => Ok(args.seed),
        Command::Check(_) => Err(LoadError(
            "check is no load that could be distributed; accepted: foo, tcp, udp, statsd"
                .to_owned(),
        )),
    }
}

/// Has loadgen look at it as it would when it starts as one of the shards.
fn check(words: &[String], count: u64, seed: u64) -> Result<(), LoadError> {
    let machine = Machine {
        // How many connections it may have is for the machines to say that open them.
        descriptors: u64::MAX,
        ..Machine::look()
    };
    let shard = format!("0/{count}");
    let as_a_shard = ["--shard", &shard, "--start-at", "+1s", "--out", "."];
    let words = [words, &as_a_shard.map(str::to_owned)].concat();
    let checked = match parsed(&words)? {
        Command::Foo(args) => Config::new(&args, machine, seed).map(drop),
        Command::Tcp(args) => TcpConfig::new(&args, machine, seed).map(drop),
        Command::Udp(args) => UdpConfig::new(&args, machine, seed).map(drop),
        Command::Statsd(args) => StatsdConfig::new(&args, machine, seed).map(drop),
        Command::Check(_) => Ok(()),
    };
    checked.map_err(|error| LoadError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(line: &str) -> Result<Load, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Load::new(&words, 4, 99).map_err(|error| error.to_string())
    }

    #[test]
    fn a_seed_is_added_where_there_is_none() {
        let given = load("foo --connect 127.0.0.1:1 --seed 7").unwrap();
        assert_eq!((given.seed, given.words.len()), (7, 5));
        for line in [
            "foo --connect 127.0.0.1:1",
            "loadgen foo --connect 127.0.0.1:1",
        ] {
            let drawn = load(line).unwrap();
            assert_eq!(drawn.seed, 99);
            assert_eq!(drawn.words.join(" "), "foo --connect 127.0.0.1:1 --seed 99");
        }
        for load in ["tcp", "udp", "statsd"] {
            let line = format!("{load} --connect 127.0.0.1:1 --rate 1k/s");
            assert_eq!(self::load(&line).unwrap().seed, 99);
        }
    }

    #[test]
    fn what_loadgen_would_refuse_is_refused_before_anything_is_submitted() {
        let cases = [
            ("", "expected something to do"),
            ("foo --help", "expected something to do"),
            ("foo", "--connect <ADDR>"),
            ("bar --connect :1", "bar"),
            ("foo --connect 127.0.0.1:1 --rate 5parsecs", "5parsecs"),
            (
                "foo --connect 127.0.0.1:1 --rate 5 --closed",
                "--closed contradicts",
            ),
            ("foo --connect 192.0.2.1:80", "--allow-remote"),
            ("check --connect :1", "accepted: foo, tcp, udp, statsd"),
            ("foo --connect 127.0.0.1:1 --out x", "--out before the --"),
            (
                "foo --connect 127.0.0.1:1 --shard=0/4",
                "--shard cannot be given",
            ),
            ("foo --connect 127.0.0.1:1 --start-at +1s", "--start-after"),
            ("foo --connect 127.0.0.1:1 --json -", "same file"),
        ];
        for (line, says) in cases {
            let error = load(line).unwrap_err();
            assert!(
                error.contains(says) && !error.contains('\n'),
                "{line}: {error}"
            );
        }
        assert!(load("foo --connect 192.0.2.1:80 --allow-remote").is_ok());
    }
}
