//! The text of lines: `load.k000017:4711|c|@0.1|#env:test`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::keys::{Keys, Popularity};

/// Longest sequence number whose lines are sure to fit where they are said to: sinks
/// count up to 2^32 of them.
const USUAL_DIGITS: usize = 10;

/// A type of metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// A counter.
    C,
    /// A gauge, without a sign.
    G,
    /// A time.
    Ms,
    /// A histogram (DogStatsD).
    H,
    /// A set.
    S,
    /// A distribution (DogStatsD).
    D,
}

impl Type {
    const ALL: [Self; 6] = [Self::C, Self::G, Self::Ms, Self::H, Self::S, Self::D];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::G => "g",
            Self::Ms => "ms",
            Self::H => "h",
            Self::S => "s",
            Self::D => "d",
        }
    }

    /// Whether a sample rate means anything: gauges and sets are not scaled.
    fn is_sampled(self) -> bool {
        !matches!(self, Self::G | Self::S)
    }
}

impl FromStr for Type {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| format!("expected some of c,g,ms,h,s,d, got {text:?}"))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What lines say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// What keys begin with, before the dot.
    pub(crate) sender: &'a str,
    /// Distinct keys: from 1 to [`MOST_KEYS`](super::MOST_KEYS).
    pub(crate) keys: u64,
    pub(crate) popularity: Popularity,
    /// Types, which follow each other: at least one.
    pub(crate) types: &'a [Type],
    pub(crate) sample_rate: Option<f64>,
    pub(crate) tags: &'a [String],
    pub(crate) seed: u64,
}

/// Writes lines.
#[derive(Debug)]
pub(crate) struct Lines {
    keys: Keys,
    /// The sender, and the key number 0.
    head: Vec<u8>,
    /// What follows the value, for each of the types in turn.
    tails: Vec<Vec<u8>>,
    sender: String,
    types: Vec<Type>,
}

impl Lines {
    /// Lines as `text` says.
    pub(crate) fn new(text: &Text<'_>) -> Self {
        let width = (text.keys - 1).to_string().len();
        let tail = |kind: &Type| {
            let rate = text.sample_rate.filter(|_| kind.is_sampled());
            let rate = rate.map_or_else(String::new, |rate| format!("|@{rate}"));
            let tags = match text.tags {
                [] => String::new(),
                tags => format!("|#{}", tags.join(",")),
            };
            format!("|{kind}{rate}{tags}\n").into_bytes()
        };
        Self {
            keys: Keys::new(text.keys, text.popularity, text.seed),
            head: format!("{}.k{:0width$}", text.sender, 0).into_bytes(),
            tails: text.types.iter().map(tail).collect(),
            sender: text.sender.to_owned(),
            types: text.types.to_vec(),
        }
    }

    /// Length of the longest line, without its end.
    pub(crate) fn longest(&self) -> usize {
        let tail = self.tails.iter().map(Vec::len).max().unwrap_or(0);
        self.head.len() + ":".len() + USUAL_DIGITS + tail - "\n".len()
    }

    /// What keys begin with, before the dot.
    pub(super) fn sender(&self) -> &str {
        &self.sender
    }

    /// The keys.
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The names of the types, which follow each other.
    pub(super) fn types(&self) -> Vec<String> {
        self.types.iter().map(Type::to_string).collect()
    }

    /// Appends line number `number`, with its end.
    #[inline]
    pub(super) fn write(&self, number: u64, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        let key = digits.format(self.keys.of(number));
        out.extend_from_slice(&self.head[..self.head.len() - key.len()]);
        out.extend_from_slice(key.as_bytes());
        out.push(b':');
        out.extend_from_slice(digits.format(number).as_bytes());
        let tail = match self.tails.as_slice() {
            [only] => only,
            tails => &tails[(number % tails.len() as u64) as usize],
        };
        out.extend_from_slice(tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(number: u64, types: &str, sample_rate: Option<f64>, tags: &[&str]) -> Lines {
        let types: Vec<Type> = types.split(',').map(|name| name.parse().unwrap()).collect();
        let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        Lines::new(&Text {
            sender: "load",
            keys: number,
            popularity: Popularity::Uniform,
            types: &types,
            sample_rate,
            tags: &tags,
            seed: 1,
        })
    }

    fn text(lines: &Lines, number: u64) -> String {
        let mut out = Vec::new();
        lines.write(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_what_sinks_expect() {
        let one = lines(1, "c", None, &[]);
        assert_eq!(text(&one, 0), "load.k0:0|c\n");
        assert_eq!(text(&one, 4_711), "load.k0:4711|c\n");
        let ten = lines(10, "c", None, &[]);
        assert_eq!(text(&ten, 1).len(), "load.k0:1|c\n".len());
    }

    #[test]
    fn types_follow_each_other_and_take_what_they_can() {
        let lines = lines(1, "c,g,ms,h,s,d", Some(0.1), &["env:test", "host:a"]);
        let tails: Vec<String> = (0..7)
            .map(|number| text(&lines, number).split_once('|').unwrap().1.to_owned())
            .collect();
        let tags = "|#env:test,host:a\n";
        let expected = ["c|@0.1", "g", "ms|@0.1", "h|@0.1", "s", "d|@0.1", "c|@0.1"];
        assert_eq!(tails, expected.map(|head| format!("{head}{tags}")));
    }

    #[test]
    fn keys_are_as_wide_as_the_widest_and_all_of_them_come() {
        let lines = lines(1_000, "c", None, &[]);
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..20_000 {
            let line = text(&lines, number);
            let (key, rest) = line.split_once(':').unwrap();
            assert_eq!(rest, format!("{number}|c\n"));
            assert_eq!((key.len(), &key[..6]), ("load.k000".len(), "load.k"));
            seen.insert(key.to_owned());
        }
        assert_eq!(seen.len(), 1_000);
        assert_eq!(seen.last().unwrap(), "load.k999");
    }

    #[test]
    fn the_longest_is_as_long_as_it_is_said_to_be() {
        let lines = lines(1_000_000, "c,ms", None, &["a:b"]);
        let longest = (0..2).map(|n| text(&lines, 4_294_967_294 + n).len()).max();
        assert_eq!(longest, Some(lines.longest() + 1));
    }
}
