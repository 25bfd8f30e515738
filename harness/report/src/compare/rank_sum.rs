//! The same for blocks that are in no pairs: Wilcoxon's rank sum, or Mann and Whitney's
//! U, over every way to divide all values between both sides.
//!
//! Exact for as many values as runs have blocks; time grows with their number to the
//! fourth power, so callers bound it. (Mann and Whitney 1947; Hodges and Lehmann 1963;
//! Hollander, Wolfe and Chicken, chapter 4.)

use super::ranks::{doubled_midranks, sorted_median};

/// The two-sided p value of no shift between both sides. Equal values share their ranks.
#[must_use]
pub fn p_two_sided(before: &[f64], after: &[f64]) -> f64 {
    let all: Vec<f64> = before.iter().chain(after).copied().collect();
    let ranks = doubled_midranks(&all);
    let seen: usize = ranks[before.len()..].iter().sum();
    let chances = distribution(&ranks, after.len());
    let less: f64 = chances[..=seen].iter().sum();
    let more: f64 = chances[seen..].iter().sum();
    (2.0 * less.min(more)).min(1.0)
}

/// The probability of each sum of so many ranks drawn without looking.
fn distribution(ranks: &[usize], drawn: usize) -> Vec<f64> {
    let total: usize = ranks.iter().sum();
    // By how many were drawn, and their sum: how many ways there are.
    let mut ways = vec![vec![0.0; total + 1]; drawn + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        for count in (1..=drawn).rev() {
            let (fewer, more) = ways.split_at_mut(count);
            let (from, to) = (&fewer[count - 1], &mut more[0]);
            for (to, from) in to[*rank..].iter_mut().zip(from) {
                *to += from;
            }
        }
    }
    let chances = &mut ways[drawn];
    let all: f64 = chances.iter().sum();
    chances.iter().map(|ways| ways / all).collect()
}

/// The Hodges-Lehmann estimate of the shift from before to after: the median of all
/// differences between a value after and one before.
#[must_use]
pub fn estimate(before: &[f64], after: &[f64]) -> Option<f64> {
    sorted_median(&differences(before, after))
}

/// The shifts that the test at this level does not refuse; none if so few values cannot
/// refuse anything at that level.
#[must_use]
pub fn interval(before: &[f64], after: &[f64], level: f64) -> Option<(f64, f64)> {
    let cut = critical(before.len(), after.len(), level)?;
    let differences = differences(before, after);
    Some((
        *differences.get(cut)?,
        *differences.get(differences.len().checked_sub(cut + 1)?)?,
    ))
}

/// The largest U that is significant at this level, two-sided, for so many values without
/// ties; none if no value is. (The tables' critical value.)
#[must_use]
pub fn critical(before: usize, after: usize, level: f64) -> Option<usize> {
    if before == 0 || after == 0 {
        return None;
    }
    let ranks: Vec<usize> = (1..=before + after).collect();
    let least = after * (after + 1) / 2;
    let mut below = 0.0;
    let within = distribution(&ranks, after)
        .into_iter()
        .skip(least)
        .take_while(|chance| {
            below += chance;
            2.0 * below <= level
        })
        .count();
    within.checked_sub(1)
}

fn differences(before: &[f64], after: &[f64]) -> Vec<f64> {
    let mut all: Vec<f64> = after
        .iter()
        .flat_map(|after| before.iter().map(move |before| after - before))
        .collect();
    all.sort_by(f64::total_cmp);
    all
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn critical_values_are_those_of_the_tables() {
        // Two-sided at 0.05.
        let table = [
            ((3, 3), None),
            ((4, 4), Some(0)),
            ((3, 5), Some(0)),
            ((5, 5), Some(2)),
            ((6, 7), Some(6)),
            ((8, 8), Some(13)),
            ((10, 10), Some(23)),
            ((12, 9), Some(26)),
            ((20, 20), Some(127)),
        ];
        for ((before, after), value) in table {
            assert_eq!(critical(before, after, 0.05), value, "{before} and {after}");
            assert_eq!(critical(after, before, 0.05), value, "{after} and {before}");
        }
        assert_eq!(critical(0, 5, 0.5), None);
    }

    #[test]
    fn worked_by_hand() {
        // Of 20 ways to choose three of six, one has them all on top.
        let (before, after) = ([1.0, 2.0, 3.0], [4.0, 5.0, 7.0]);
        assert_eq!(p_two_sided(&before, &after), 2.0 / 20.0);
        assert_eq!(estimate(&before, &after), Some(3.0));
        assert_eq!(interval(&before, &after, 0.05), None);
        assert_eq!(interval(&before, &after, 0.1), Some((1.0, 6.0)));
        assert_eq!(p_two_sided(&[1.0; 4], &[1.0; 4]), 1.0);
        assert_eq!(
            (estimate(&[], &after), p_two_sided(&[], &after)),
            (None, 1.0)
        );
    }

    proptest! {
        #[test]
        fn test_and_interval_agree(
            before in vec(-1.0_f64..1.0, 1..9),
            after in vec(-1.0_f64..2.0, 1..9),
            level in prop_oneof![Just(0.05), Just(0.01), 0.001_f64..0.5],
        ) {
            let refused = p_two_sided(&before, &after) <= level;
            let outside = interval(&before, &after, level)
                .is_some_and(|(low, high)| low > 0.0 || high < 0.0);
            prop_assert_eq!(refused, outside);
        }

        #[test]
        fn swapping_sides_mirrors_everything(
            before in vec(-1.0_f64..1.0, 5..9),
            after in vec(-1.0_f64..1.0, 5..9),
        ) {
            prop_assert!((p_two_sided(&before, &after) - p_two_sided(&after, &before)).abs() < 1e-9);
            let (low, high) = interval(&before, &after, 0.05).unwrap();
            prop_assert_eq!(interval(&after, &before, 0.05), Some((-high, -low)));
        }
    }
}
