//! Why shards are not merged: each by its number and its file.

use std::fmt;
use std::path::PathBuf;

use loadgen::record::SCHEMA_VERSION;

/// What is wrong with one shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// Its number, as far as that is known.
    pub shard: Option<u64>,
    /// Its file, or where that should be.
    pub file: PathBuf,
    /// What is wrong.
    pub why: Why,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Why {
    /// The system does not let us read it.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It ends in the middle.
    #[error("is cut: it ends after {bytes} bytes, in the middle of the record")]
    Cut {
        /// How long it is.
        bytes: usize,
    },
    /// It is something else.
    #[error("is not the record of a shard: {0}")]
    NotARecord(String),
    /// Another program wrote it.
    #[error("has another schema version: {0}, this program reads {SCHEMA_VERSION}")]
    Version(u64),
    /// There is another file of the same shard.
    #[error("is the same shard as {}", .0.display())]
    Twice(PathBuf),
    /// It is a part of something else.
    #[error("is one of {count} shards, the others are of {others}")]
    Count {
        /// Of how many it is.
        count: u64,
        /// Of how many the others are.
        others: u64,
    },
    /// It was told to do something else.
    #[error("has another configuration: {key} is {value}, the others have {others}")]
    Configuration {
        /// The flag.
        key: String,
        /// What it was told.
        value: String,
        /// What most were told.
        others: String,
    },
    /// There is no file of it.
    #[error("is missing: there is no such file")]
    Missing,
    /// It says itself that its figures may not be judged.
    #[error("is invalid: {0}")]
    Invalid(String),
    /// It was ready too late.
    #[error(
        "is late: ready {} after the start, at most {} are allowed (--start-within)",
        time(*late_ns), time(*allowed_ns)
    )]
    Late {
        /// By how much.
        late_ns: u64,
        /// How much is allowed.
        allowed_ns: u64,
    },
    /// It was to start at another time.
    #[error(
        "has another start: {} {} the others, at most {} are allowed (--start-within)",
        time(*by_ns), if *is_later { "after" } else { "before" }, time(*allowed_ns)
    )]
    Start {
        /// How far off.
        by_ns: u64,
        /// After the others, or before them.
        is_later: bool,
        /// How far is allowed.
        allowed_ns: u64,
    },
    /// It did not come to its end.
    #[error("ended early: it has {slices} of {planned} intervals")]
    Short {
        /// Slices of time in it.
        slices: usize,
        /// Those that were to be.
        planned: usize,
    },
    /// Its figures contradict each other, or those of the others.
    #[error("does not add up: {0}")]
    Sums(String),
}

impl Why {
    /// Whether what was given is wrong, rather than what was measured.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Unreadable(_)
                | Self::Cut { .. }
                | Self::NotARecord(_)
                | Self::Version(_)
                | Self::Twice(_)
                | Self::Count { .. }
                | Self::Configuration { .. }
        )
    }
}

/// A time as people read it: the two largest units would be `1.21 s`, `100 ms`.
fn time(nanos: u64) -> String {
    let shown = |value: f64, unit: &str| {
        let text = format!("{value:.2}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{text} {unit}")
    };
    match nanos {
        0..1_000_000 => shown(nanos as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => shown(nanos as f64 / 1e6, "ms"),
        _ => shown(nanos as f64 / 1e9, "s"),
    }
}

impl Refusal {
    pub(crate) fn is_missing(&self) -> bool {
        self.why == Why::Missing
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.shard {
            Some(shard) => write!(f, "shard {shard} ({file}) {}", self.why),
            None => write!(f, "{file} {}", self.why),
        }
    }
}

/// All that is wrong, in the order of the shards: nothing only if there was no file at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusals(pub Vec<Refusal>);

impl Refusals {
    /// Whether what was given is wrong, with any of them.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        self.0.iter().any(|refusal| refusal.why.is_usage())
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Refusal::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Refusals {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_one_line_that_names_the_shard_and_its_file() {
        let say = |why| {
            let (shard, file) = (Some(3), PathBuf::from("out/shard-3-of-4.json"));
            Refusal { shard, file, why }.to_string()
        };
        let late = Why::Late {
            late_ns: 1_210_000_000,
            allowed_ns: 100_000_000,
        };
        assert_eq!(
            say(late),
            "shard 3 (out/shard-3-of-4.json) is late: ready 1.21 s after the start, at most \
             100 ms are allowed (--start-within)"
        );
        assert_eq!(
            say(Why::Twice("b/shard-3-of-4.json".into())),
            "shard 3 (out/shard-3-of-4.json) is the same shard as b/shard-3-of-4.json"
        );
    }

    #[test]
    fn times_are_short() {
        assert_eq!(time(900), "0.9 µs");
        assert_eq!(time(2_000_000), "2 ms");
        assert_eq!(time(60_000_000_000), "60 s");
    }
}
