//! Decisions: pure functions of seed, link, toxic, connection, direction and offset.
//!
//! Nothing is drawn one after the other: a decision about offset 4711 is the same whatever
//! was decided before it, in whatever chunks the bytes came.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::toxic::Direction;

/// The source of all decisions of one toxic about one direction of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws(u64);

impl Draws {
    /// Draws for a toxic on a connection. Connections are numbered per link, from 0.
    #[must_use]
    pub fn new(seed: u64, link: &str, toxic: &str, connection: u64, direction: Direction) -> Self {
        let named = xxh3_64_with_seed(toxic.as_bytes(), xxh3_64_with_seed(link.as_bytes(), seed));
        let numbered = mix(named ^ mix(connection.wrapping_mul(2) + u64::from(direction as u8)));
        Self(numbered)
    }

    /// The draw for an offset: 64 uniform bits. Draws of another purpose are independent.
    #[must_use]
    pub fn at(self, offset: u64, purpose: u64) -> u64 {
        mix(self.0 ^ mix(offset ^ purpose.rotate_left(48)))
    }

    /// The draw for an offset, uniform in [0, 1).
    #[must_use]
    pub fn unit(self, offset: u64, purpose: u64) -> f64 {
        // 53 bits are what a double holds.
        (self.at(offset, purpose) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The draw for an offset, uniform in 0..=most.
    #[must_use]
    pub fn up_to(self, offset: u64, purpose: u64, most: u64) -> u64 {
        let wide = u128::from(self.at(offset, purpose)) * (u128::from(most) + 1);
        u64::try_from(wide >> 64).expect("below most + 1")
    }
}

/// Purposes of draws, so that no two decisions about one offset are the same.
pub mod purpose {
    /// Whether a connection is affected at all.
    pub const AFFECTED: u64 = 1;
    /// By how much a delay deviates.
    pub const JITTER: u64 = 2;
    /// Where to cut.
    pub const CUT: u64 = 3;
    /// Whether to lose it.
    pub const LOSS: u64 = 4;
    /// Whether to repeat it.
    pub const DUPLICATE: u64 = 5;
    /// Whether to hold it back.
    pub const REORDER: u64 = 6;
    /// Whether to change it.
    pub const CORRUPT: u64 = 7;
    /// Which bit to change.
    pub const BIT: u64 = 8;
    /// Whether to cut it short.
    pub const TRUNCATE: u64 = 9;
    /// Whether a message is chosen.
    pub const MESSAGE: u64 = 10;
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014), preceded by its increment.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(connection: u64) -> Draws {
        Draws::new(7, "link", "toxic", connection, Direction::Upstream)
    }

    #[test]
    fn a_decision_depends_on_all_that_it_is_a_function_of() {
        let value = |seed, link, toxic, connection, direction, offset, purpose| {
            Draws::new(seed, link, toxic, connection, direction).at(offset, purpose)
        };
        let base = value(7, "a", "t", 1, Direction::Upstream, 5, 1);
        assert_eq!(base, value(7, "a", "t", 1, Direction::Upstream, 5, 1));
        let others = [
            value(8, "a", "t", 1, Direction::Upstream, 5, 1),
            value(7, "b", "t", 1, Direction::Upstream, 5, 1),
            value(7, "a", "u", 1, Direction::Upstream, 5, 1),
            value(7, "a", "t", 2, Direction::Upstream, 5, 1),
            value(7, "a", "t", 1, Direction::Downstream, 5, 1),
            value(7, "a", "t", 1, Direction::Upstream, 6, 1),
            value(7, "a", "t", 1, Direction::Upstream, 5, 2),
        ];
        for (i, other) in others.iter().enumerate() {
            assert_ne!(base, *other, "{i}");
        }
    }

    #[test]
    fn shares_lie_within_binomial_bounds() {
        // Five standard deviations at n = 100,000: a sound generator fails once in a
        // million, and this one always draws the same.
        for share in [0.01, 0.1, 0.5, 0.9] {
            let n = 100_000_u64;
            let along = (0..n).filter(|i| draws(1).unit(*i, 1) < share).count();
            let across = (0..n).filter(|i| draws(*i).unit(0, 1) < share).count();
            let deviation = (n as f64 * share * (1.0 - share)).sqrt();
            for hits in [along, across] {
                let off = (hits as f64 - n as f64 * share).abs();
                assert!(off < 5.0 * deviation, "{share}: {hits}");
            }
        }
    }

    #[test]
    fn a_bounded_draw_reaches_both_bounds() {
        let seen: std::collections::BTreeSet<u64> =
            (0..1000).map(|i| draws(3).up_to(i, 1, 4)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(draws(1).up_to(9, 1, 0), 0);
        let _ = draws(1).up_to(9, 1, u64::MAX);
    }
}
