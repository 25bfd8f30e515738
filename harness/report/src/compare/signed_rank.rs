//! Wilcoxon's signed-rank statistic under sign flips: the exact test of no difference,
//! the estimate and the interval that belong to it.
//!
//! If both of a pair are alike, each difference is as likely to have one sign as the
//! other, whatever its size. All 2ⁿ sign patterns then are equally likely, and the share
//! of those with a statistic as extreme as the one seen is the p value: nothing is
//! assumed about the shape of the noise. (Wilcoxon 1945; Hodges and Lehmann 1963;
//! Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, chapter 3.)

use super::ranks::{doubled_midranks, sorted_median};

/// The two-sided p value of no difference: an exact sign-flip test. Differences of zero
/// say nothing about a direction and are dropped; equal sizes share their ranks.
#[must_use]
pub fn p_two_sided(differences: &[f64]) -> f64 {
    let (less, more) = tails(differences);
    (2.0 * less.min(more)).min(1.0)
}

/// The one-sided p value against differences above zero.
#[must_use]
pub fn p_greater(differences: &[f64]) -> f64 {
    tails(differences).1
}

/// The shares of sign patterns with a statistic no larger, and no smaller, than the one
/// seen.
fn tails(differences: &[f64]) -> (f64, f64) {
    let nonzero: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let sizes: Vec<f64> = nonzero.iter().map(|d| d.abs()).collect();
    let ranks = doubled_midranks(&sizes);
    let positive = nonzero.iter().zip(&ranks).filter(|(d, _)| **d > 0.0);
    let seen: usize = positive.map(|(_, rank)| rank).sum();
    let chances = distribution(&ranks);
    (chances[..=seen].iter().sum(), chances[seen..].iter().sum())
}

/// The probability of each sum of the ranks with a positive sign, when each sign is the
/// toss of a coin. Probabilities rather than counts of patterns: those overflow.
fn distribution(ranks: &[usize]) -> Vec<f64> {
    let mut chances = vec![0.0; ranks.iter().sum::<usize>() + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for rank in ranks {
        reached += rank;
        for sum in (0..=reached).rev() {
            let with = if sum < *rank {
                0.0
            } else {
                chances[sum - rank]
            };
            chances[sum] = f64::midpoint(chances[sum], with);
        }
    }
    chances
}

/// The Hodges-Lehmann estimate of the difference: the median of the means of all pairs
/// of differences, each with itself included.
#[must_use]
pub fn estimate(differences: &[f64]) -> Option<f64> {
    sorted_median(&walsh_averages(differences))
}

/// The differences that the test at this level does not refuse: it says that there is
/// one exactly if 0 lies outside, ties apart, which make the interval the more careful
/// of both. None if so few pairs cannot refuse anything at that level.
#[must_use]
pub fn interval(differences: &[f64], level: f64) -> Option<(f64, f64)> {
    let cut = critical(differences.len(), level)?;
    let walsh = walsh_averages(differences);
    Some((walsh[cut], walsh[walsh.len() - 1 - cut]))
}

/// The largest value of the statistic that is significant at this level, two-sided, for
/// so many differences without ties; none if no value is. (The tables' critical value.)
#[must_use]
pub fn critical(differences: usize, level: f64) -> Option<usize> {
    let ranks: Vec<usize> = (1..=differences).collect();
    let mut below = 0.0;
    let within = distribution(&ranks)
        .into_iter()
        .take_while(|chance| {
            below += chance;
            2.0 * below <= level
        })
        .count();
    // Of no differences at all nothing can be said at any level.
    within.checked_sub(1).filter(|_| differences > 0)
}

/// Whether so many differences can be significant at this level at all: if all of them
/// have the same sign.
#[must_use]
pub fn can_reach(differences: usize, level: f64) -> bool {
    least_p(differences) <= level
}

/// The least p value that so many differences can have, two-sided.
#[must_use]
pub fn least_p(differences: usize) -> f64 {
    // More than a thousand halvings are zero to any level.
    let halvings = i32::try_from(differences.min(1_000)).unwrap_or(1_000);
    (2.0 * 0.5_f64.powi(halvings)).min(1.0)
}

/// The means of all pairs of differences, each with itself included, from the least to
/// the largest (Walsh 1949).
#[must_use]
pub fn walsh_averages(differences: &[f64]) -> Vec<f64> {
    let mut averages = Vec::with_capacity(differences.len() * (differences.len() + 1) / 2);
    for (at, first) in differences.iter().enumerate() {
        averages.extend(
            differences[at..]
                .iter()
                .map(|other| f64::midpoint(*first, *other)),
        );
    }
    averages.sort_by(f64::total_cmp);
    averages
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn critical_values_are_those_of_the_tables() {
        // Two-sided: n, then the values for 0.10, 0.05, 0.02 and 0.01.
        let table = [
            (5, [Some(0), None, None, None]),
            (6, [Some(2), Some(0), None, None]),
            (7, [Some(3), Some(2), Some(0), None]),
            (8, [Some(5), Some(3), Some(1), Some(0)]),
            (9, [Some(8), Some(5), Some(3), Some(1)]),
            (10, [Some(10), Some(8), Some(5), Some(3)]),
            (12, [Some(17), Some(13), Some(9), Some(7)]),
            (15, [Some(30), Some(25), Some(19), Some(15)]),
            (20, [Some(60), Some(52), Some(43), Some(37)]),
            (25, [Some(100), Some(89), Some(76), Some(68)]),
        ];
        for (n, row) in table {
            for (level, value) in [0.10, 0.05, 0.02, 0.01].into_iter().zip(row) {
                assert_eq!(critical(n, level), value, "n = {n}, level {level}");
            }
        }
        assert_eq!(critical(0, 1.0), None);
    }

    #[test]
    fn p_values_worked_by_hand() {
        // Rank 1 is negative: two of the 32 patterns have a sum of 14 or more.
        let one_against = [-1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(p_two_sided(&one_against), 4.0 / 32.0);
        assert_eq!(p_greater(&one_against), 2.0 / 32.0);
        assert_eq!(p_two_sided(&[1.0; 10]), 2.0 / 1_024.0);
        assert_eq!(p_two_sided(&[0.0, 0.0, 1.0]), 1.0);
        assert_eq!(p_two_sided(&[0.0; 10]), 1.0);
        assert_eq!(p_two_sided(&[]), 1.0);
        // Equal sizes: ranks 1.5, 1.5, 3; sums 6 or more are 1 of 8, 4.5 or more 3 of 8.
        assert_eq!(p_greater(&[2.0, 2.0, 7.0]), 1.0 / 8.0);
        assert_eq!(p_greater(&[2.0, -2.0, 7.0]), 3.0 / 8.0);
    }

    #[test]
    fn estimate_and_interval_worked_by_hand() {
        let differences = [1.0, 2.0, 4.0];
        assert_eq!(walsh_averages(&differences), [1.0, 1.5, 2.0, 2.5, 3.0, 4.0]);
        assert_eq!(estimate(&differences), Some(2.25));
        assert_eq!(interval(&differences, 0.25), Some((1.0, 4.0)));
        assert_eq!(
            interval(&differences, 0.2),
            None,
            "2 of 8 patterns are a quarter"
        );
        assert_eq!((estimate(&[]), interval(&[], 0.5)), (None, None));
        // Ten pairs at 0.05: the ninth average from either end.
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        let walsh = walsh_averages(&ten);
        assert_eq!(interval(&ten, 0.05), Some((walsh[8], walsh[46])));
    }

    #[test]
    fn hundreds_of_pairs_do_not_overflow() {
        let many: Vec<f64> = (1..=400).map(|n| f64::from(n) * 0.01).collect();
        let sum: f64 = distribution(&(1..=400).collect::<Vec<_>>()).iter().sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        let p = p_two_sided(&many);
        assert!(p > 0.0 && p < 1e-100, "{p}");
        let (low, high) = interval(&many, 0.05).unwrap();
        assert!(0.0 < low && low < 2.0 && 2.0 < high, "{low} to {high}");
    }

    /// As it is defined: every pattern of signs.
    fn by_enumeration(differences: &[f64]) -> f64 {
        let nonzero: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
        let sizes: Vec<f64> = nonzero.iter().map(|d| d.abs()).collect();
        let ranks = doubled_midranks(&sizes);
        let sum = |is_positive: &dyn Fn(usize) -> bool| -> usize {
            let chosen = ranks.iter().enumerate().filter(|(at, _)| is_positive(*at));
            chosen.map(|(_, rank)| rank).sum()
        };
        let seen = sum(&|at| nonzero[at] > 0.0);
        let sums: Vec<usize> = (0..1_u32 << nonzero.len())
            .map(|pattern| sum(&|at| pattern >> at & 1 == 1))
            .collect();
        let share = |holds: &dyn Fn(usize) -> bool| {
            sums.iter().filter(|sum| holds(**sum)).count() as f64 / sums.len() as f64
        };
        (2.0 * share(&|sum| sum <= seen).min(share(&|sum| sum >= seen))).min(1.0)
    }

    proptest! {
        #[test]
        fn it_is_the_share_of_all_sign_patterns(whole in vec(-4_i32..=4, 0..10)) {
            let differences: Vec<f64> = whole.into_iter().map(f64::from).collect();
            prop_assert!((p_two_sided(&differences) - by_enumeration(&differences)).abs() < 1e-12);
        }

        #[test]
        fn test_and_interval_agree(
            differences in vec(-1.0_f64..1.5, 1..25),
            level in prop_oneof![Just(0.05), Just(0.01), Just(0.25), 0.001_f64..0.5],
        ) {
            let refused = p_two_sided(&differences) <= level;
            let outside = interval(&differences, level)
                .is_some_and(|(low, high)| low > 0.0 || high < 0.0);
            prop_assert_eq!(refused, outside);
        }

        #[test]
        fn ties_make_the_interval_the_more_careful(whole in vec(-3_i32..=4, 1..14)) {
            let differences: Vec<f64> = whole.into_iter().map(f64::from).collect();
            if let Some((low, high)) = interval(&differences, 0.05) {
                let outside = low > 0.0 || high < 0.0;
                prop_assert!(!outside || p_two_sided(&differences) <= 0.05);
            }
        }

        #[test]
        fn swapping_sides_mirrors_everything(differences in vec(-1.0_f64..1.0, 6..15)) {
            let mirrored: Vec<f64> = differences.iter().map(|d| -d).collect();
            prop_assert!((p_two_sided(&differences) - p_two_sided(&mirrored)).abs() < 1e-12);
            let (low, high) = interval(&differences, 0.05).unwrap();
            prop_assert_eq!(interval(&mirrored, 0.05), Some((-high, -low)));
            let estimate = estimate(&differences).unwrap();
            prop_assert!(low <= estimate && estimate <= high);
        }
    }
}
