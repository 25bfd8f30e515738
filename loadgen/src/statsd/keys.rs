//! Which key a line carries: a pure function of its number.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::mix::mix;

/// Most distinct keys: with Zipf, a table of 80 MB.
pub const MOST_KEYS: u64 = 10_000_000;

/// Steepest Zipf exponent. Beyond it nearly all lines carry the first key.
const STEEPEST: f64 = 10.0;

/// How often keys are used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Popularity {
    /// All equally.
    #[default]
    Uniform,
    /// Key number `k`, from 0, in proportion to `1 / (k + 1)^S`.
    Zipf(f64),
}

impl FromStr for Popularity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let exponent = text.strip_prefix("zipf:").map(str::parse::<f64>);
        match (text, exponent) {
            ("uniform", _) => Ok(Self::Uniform),
            (_, Some(Ok(exponent))) if (0.0..=STEEPEST).contains(&exponent) => {
                Ok(Self::Zipf(exponent))
            }
            _ => Err(format!(
                "expected uniform, or zipf:S with S from 0 to {STEEPEST} such as zipf:1.1, got {text:?}"
            )),
        }
    }
}

impl fmt::Display for Popularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

impl Serialize for Popularity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The keys of a run.
#[derive(Debug)]
pub(super) struct Keys {
    number: u64,
    popularity: Popularity,
    seed: u64,
    /// For keys that are not equally popular: an alias table. Column `k` belongs to key
    /// `k` below its bar, and to another key above it.
    table: Vec<Column>,
}

#[derive(Clone, Copy, Debug)]
struct Column {
    bar: u32,
    other: u32,
}

impl Keys {
    /// `number` keys, from 1 to [`MOST_KEYS`].
    pub(super) fn new(number: u64, popularity: Popularity, seed: u64) -> Self {
        let table = match popularity {
            Popularity::Uniform => vec![],
            Popularity::Zipf(exponent) => {
                let weights = (1..=number).map(|rank| (rank as f64).powf(-exponent));
                alias_table(weights.collect())
            }
        };
        Self {
            number,
            popularity,
            seed: mix(seed, 0x6b65_7973),
            table,
        }
    }

    /// How many there are.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How often they are used.
    pub(super) fn popularity(&self) -> Popularity {
        self.popularity
    }

    /// The key of line number `line`.
    #[inline]
    pub(super) fn of(&self, line: u64) -> u64 {
        let random = mix(self.seed, line);
        let (high, low) = (random >> 32, random as u32);
        // Multiplying instead of dividing (Lemire 2019); with ten million keys none is
        // preferred by more than 0.3 %.
        let column = (high * self.number) >> 32;
        match self.table.get(column as usize) {
            Some(found) if low >= found.bar => u64::from(found.other),
            _ => column,
        }
    }
}

/// Walker's table by Vose's method (M. D. Vose, A Linear Algorithm for Generating Random
/// Numbers with a Given Distribution, 1991): every column is filled up to 1 with what is
/// too much in another.
fn alias_table(mut weights: Vec<f64>) -> Vec<Column> {
    let scale = weights.len() as f64 / weights.iter().sum::<f64>();
    weights.iter_mut().for_each(|weight| *weight *= scale);
    let full = |key: usize| Column {
        bar: u32::MAX,
        other: key as u32,
    };
    let mut table: Vec<Column> = (0..weights.len()).map(full).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|key| weights[*key] < 1.0);
    while let (Some(low), Some(high)) = (small.pop(), large.last().copied()) {
        table[low] = Column {
            bar: (weights[low] * 4_294_967_296.0) as u32,
            other: high as u32,
        };
        weights[high] -= 1.0 - weights[low];
        if weights[high] < 1.0 {
            large.pop();
            small.push(high);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(keys: &Keys, number: u64, lines: u64) -> Vec<u64> {
        let mut counts = vec![0; number as usize];
        (0..lines).for_each(|line| counts[keys.of(line) as usize] += 1);
        counts
    }

    /// Pearson's statistic over its degrees of freedom: about 1 if `counts` are drawn
    /// with `weights`.
    fn misfit(counts: &[u64], weights: &[f64]) -> f64 {
        let lines = counts.iter().sum::<u64>() as f64;
        let sum = weights.iter().sum::<f64>();
        let pairs = counts.iter().zip(weights);
        let terms = pairs.map(|(count, weight)| {
            let expected = lines * weight / sum;
            (*count as f64 - expected).powi(2) / expected
        });
        terms.sum::<f64>() / (counts.len() as f64 - 1.0)
    }

    #[test]
    fn uniform_keys_are_equally_popular() {
        let counts = counted(&Keys::new(1_000, Popularity::Uniform, 3), 1_000, 1_000_000);
        let misfit = misfit(&counts, &[1.0; 1_000]);
        assert!((0.8..1.2).contains(&misfit), "{misfit}");
    }

    #[test]
    fn zipf_keys_fall_with_their_rank() {
        for exponent in [0.5, 1.0, 1.1, 2.0] {
            let keys = Keys::new(200, Popularity::Zipf(exponent), 3);
            let counts = counted(&keys, 200, 2_000_000);
            let weights: Vec<f64> = (1..=200).map(|k| f64::from(k).powf(-exponent)).collect();
            let misfit = misfit(&counts, &weights);
            assert!((0.6..1.4).contains(&misfit), "zipf:{exponent}: {misfit}");
        }
    }

    #[test]
    fn the_test_of_the_distribution_can_fail() {
        let counts = counted(&Keys::new(200, Popularity::Zipf(1.1), 3), 200, 2_000_000);
        let weights: Vec<f64> = (1..=200).map(|k| f64::from(k).powf(-1.0)).collect();
        assert!(misfit(&counts, &weights) > 10.0);
    }

    #[test]
    fn popularity_is_written_as_it_is_read() {
        for text in ["uniform", "zipf:1.1", "zipf:0", "zipf:2"] {
            assert_eq!(text.parse::<Popularity>().unwrap().to_string(), text);
        }
        for text in ["zipf", "zipf:", "zipf:-1", "zipf:11", "zipf:NaN", "normal"] {
            let error = text.parse::<Popularity>().unwrap_err();
            assert!(error.contains("zipf:1.1"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_key_is_one_of_them(
            number in 1_u64..5_000, exponent in 0.0..10.0_f64, seed in any::<u64>(),
            line in any::<u64>(),
        ) {
            for popularity in [Popularity::Uniform, Popularity::Zipf(exponent)] {
                let keys = Keys::new(number, popularity, seed);
                prop_assert!(keys.of(line) < number);
                prop_assert_eq!(keys.of(line), Keys::new(number, popularity, seed).of(line));
            }
        }

        #[test]
        fn a_table_gives_every_key_its_weight(
            weights in proptest::collection::vec(0.001..100.0_f64, 1..200),
        ) {
            let table = alias_table(weights.clone());
            let mut shares = vec![0.0; weights.len()];
            for (key, column) in table.iter().enumerate() {
                let below = f64::from(column.bar) / 4_294_967_296.0;
                shares[key] += below;
                shares[column.other as usize] += 1.0 - below;
            }
            let sum = weights.iter().sum::<f64>();
            for (share, weight) in shares.iter().zip(&weights) {
                let expected = weight / sum * weights.len() as f64;
                prop_assert!((share - expected).abs() < 1e-6, "{} {}", share, expected);
            }
        }
    }
}
