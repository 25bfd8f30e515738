//! The smallest change that a comparison could have seen.

use loadgen::mix::mix;

use super::signed_rank::{critical, walsh_averages};

/// Comparisons that are played through: the standard error of a share of 0.8 is then
/// about 0.013.
const RESAMPLES: u64 = 1_000;

/// Means of two differences that are formed over all resamples at most: what many pairs
/// would cost more is saved in resamples.
const MOST_AVERAGES: u64 = 2_000_000;

/// The share of comparisons that are to notice the change: four of five, as is usual.
const POWER: f64 = 0.8;

/// Fixed, so that a run file always says the same.
const SEED: u64 = 0x000f_0057_a7e5_77f1;

/// The smallest change, as a ratio (0.03: 3 %), that a comparison with so many `pairs`
/// would tell from none four times in five: that the interval at `level` excludes none.
/// `noise` are the natural logarithms of the ratios of like to like; each may as well
/// have had the other sign. None without noise, or if so few pairs can tell nothing at
/// that level.
#[must_use]
pub fn least(noise: &[f64], pairs: usize, level: f64) -> Option<f64> {
    let cut = critical(pairs, level).filter(|_| !noise.is_empty())?;
    let averages = (pairs * (pairs + 1) / 2) as u64;
    let resamples = RESAMPLES.min(MOST_AVERAGES / averages).max(100);
    // A shift moves the whole interval: it excludes zero if it is more than the lower
    // end lies below.
    let mut needed: Vec<f64> = (0..resamples)
        .map(|nth| {
            let resample: Vec<f64> = (0..pairs as u64)
                .map(|pair| draw(noise, nth * pairs as u64 + pair))
                .collect();
            -walsh_averages(&resample)[cut]
        })
        .collect();
    needed.sort_by(f64::total_cmp);
    let at = (POWER * resamples as f64).ceil() as usize;
    Some(needed[at - 1].max(0.0).exp_m1())
}

/// One of the values, with a sign by chance.
fn draw(values: &[f64], nth: u64) -> f64 {
    let random = mix(SEED, nth);
    // The upper half of it, scaled: no value is favoured by more than one in billions.
    let at = ((random >> 32) * values.len() as u64) >> 32;
    if random & 1 == 0 {
        values[at as usize]
    } else {
        -values[at as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::compare::signed_rank;

    fn noise() -> Vec<f64> {
        [
            -0.021, 0.013, 0.002, -0.008, 0.017, -0.011, 0.006, -0.003, 0.024, -0.016,
        ]
        .to_vec()
    }

    #[test]
    fn it_is_what_four_of_five_comparisons_notice() {
        let (pairs, level) = (10, 0.01);
        let least = least(&noise(), pairs, level).unwrap();
        let noticed = |shift: f64| {
            // Other draws than those it was found with.
            let comparisons = 2_000_u64;
            let noticed = (0..comparisons)
                .filter(|nth| {
                    let from = (1 << 40) + nth * pairs as u64;
                    let differences: Vec<f64> = (from..from + pairs as u64)
                        .map(|nth| draw(&noise(), nth) + shift)
                        .collect();
                    signed_rank::interval(&differences, level).unwrap().0 > 0.0
                })
                .count();
            noticed as f64 / comparisons as f64
        };
        let share = noticed(least.ln_1p());
        assert!((0.76..=0.84).contains(&share), "{share}");
        assert!(noticed(least.ln_1p() / 2.0) < 0.5);
    }

    #[test]
    fn more_pairs_see_more_and_stricter_levels_less() {
        let at = |pairs, level| least(&noise(), pairs, level).unwrap();
        assert!(at(20, 0.01) < at(10, 0.01));
        assert!(at(10, 0.05) < at(10, 0.01));
        assert!(at(300, 0.05) < at(20, 0.05));
        assert_eq!(at(10, 0.01), at(10, 0.01));
    }

    #[test]
    fn without_noise_nothing_is_said() {
        assert_eq!(least(&[], 10, 0.05), None);
        assert_eq!(least(&noise(), 5, 0.05), None);
        assert_eq!(least(&[0.0; 10], 10, 0.05), Some(0.0));
    }

    proptest! {
        #[test]
        fn twice_the_noise_needs_twice_the_change(noise in vec(0.001_f64..0.1, 3..12)) {
            let once = least(&noise, 8, 0.05).unwrap().ln_1p();
            let doubled: Vec<f64> = noise.iter().map(|d| 2.0 * d).collect();
            let twice = least(&doubled, 8, 0.05).unwrap().ln_1p();
            prop_assert!((twice - 2.0 * once).abs() < 1e-9);
        }
    }
}
