//! The text of lines: `load.k000017:4711|c|@0.1|#env:test`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::keys::Keys;

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

/// Writes lines.
#[derive(Debug)]
pub(super) struct Lines {
    keys: Keys,
    /// The sender, and the key number 0.
    head: Vec<u8>,
    /// What follows the value, for each of the types in turn.
    tails: Vec<Vec<u8>>,
}

impl Lines {
    /// Lines of `sender` with `number` keys, `keys`, whose types follow each other.
    pub(super) fn new(
        sender: &str,
        number: u64,
        keys: Keys,
        types: &[Type],
        sample_rate: Option<f64>,
        tags: &[String],
    ) -> Self {
        let width = (number - 1).to_string().len();
        let tail = |kind: &Type| {
            let rate = sample_rate.filter(|_| kind.is_sampled());
            let rate = rate.map_or_else(String::new, |rate| format!("|@{rate}"));
            let tags = match tags {
                [] => String::new(),
                tags => format!("|#{}", tags.join(",")),
            };
            format!("|{kind}{rate}{tags}\n").into_bytes()
        };
        Self {
            keys,
            head: format!("{sender}.k{:0width$}", 0).into_bytes(),
            tails: types.iter().map(tail).collect(),
        }
    }

    /// Length of the longest line, without its end.
    pub(super) fn longest(&self) -> usize {
        let tail = self.tails.iter().map(Vec::len).max().unwrap_or(0);
        self.head.len() + ":".len() + USUAL_DIGITS + tail - "\n".len()
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
    use crate::statsd::keys::Popularity;

    fn lines(number: u64, types: &str, sample_rate: Option<f64>, tags: &[&str]) -> Lines {
        let types: Vec<Type> = types.split(',').map(|name| name.parse().unwrap()).collect();
        let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
        let keys = Keys::new(number, Popularity::Uniform, 1);
        Lines::new("load", number, keys, &types, sample_rate, &tags)
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
        let lines = lines(
            1,
            "c,g,ms,h,s,d",
            Some(0.1),
            &["env:test", "host:a"],
        );
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
