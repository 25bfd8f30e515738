//! Holm's step-down procedure (1979): many tests, and 0.05 for all of them together.

/// The chance that is accepted of calling any difference one that is none, over all tests
/// of a family.
pub const ALPHA: f64 = 0.05;

/// What came of one test of a family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The level at which it was tested.
    pub level: f64,
    /// Whether it says that there is a difference.
    pub is_rejected: bool,
}

/// Tests a family, given by its p values, at `alpha` over all. The smallest is tested at
/// α/m, the next at α/(m−1) and so on, until one is not significant: that one and all
/// larger ones have the level at which it stopped, so that an interval at a test's level
/// agrees with the test. Equal p values have the same level, whatever their order.
#[must_use]
pub fn step_down(p_values: &[f64], alpha: f64) -> Vec<Step> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut steps = vec![
        Step {
            level: alpha,
            is_rejected: false,
        };
        p_values.len()
    ];
    let mut level = 0.0;
    let mut goes_on = true;
    for (smaller, at) in order.iter().enumerate() {
        let is_tied = smaller > 0 && p_values[order[smaller - 1]] == p_values[*at];
        if goes_on && !is_tied {
            level = alpha / (p_values.len() - smaller) as f64;
            goes_on = p_values[*at] <= level;
        }
        steps[*at] = Step {
            level,
            is_rejected: goes_on,
        };
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn worked_by_hand() {
        // The levels are 0.0125, 0.0167 and 0.025; the third stops it.
        let steps = step_down(&[0.03, 0.01, 0.04, 0.015], 0.05);
        let levels = steps.iter().map(|step| step.level).collect::<Vec<_>>();
        assert_eq!(levels, [0.025, 0.05 / 4.0, 0.025, 0.05 / 3.0]);
        let rejected: Vec<bool> = steps.iter().map(|step| step.is_rejected).collect();
        assert_eq!(rejected, [false, true, false, true]);
        assert!(step_down(&[], 0.05).is_empty());
        assert_eq!(step_down(&[0.05], 0.05)[0].level, 0.05);
        assert!(step_down(&[0.05], 0.05)[0].is_rejected);
    }

    fn p_values() -> impl Strategy<Value = Vec<f64>> {
        // Few distinct values as well, so that ties occur.
        let p = prop_oneof![
            0.0_f64..0.08,
            0.0_f64..=1.0,
            (1_u32..=16).prop_map(|n| f64::from(n) / 512.0)
        ];
        vec(p, 1..12)
    }

    proptest! {
        #[test]
        fn a_test_says_what_its_level_says(p_values in p_values()) {
            for (p, step) in p_values.iter().zip(step_down(&p_values, ALPHA)) {
                prop_assert_eq!(step.is_rejected, *p <= step.level);
            }
        }

        #[test]
        fn it_lies_between_bonferroni_and_no_correction(p_values in p_values()) {
            let strictest = ALPHA / p_values.len() as f64;
            for (p, step) in p_values.iter().zip(step_down(&p_values, ALPHA)) {
                prop_assert!(strictest <= step.level && step.level <= ALPHA);
                prop_assert!(step.is_rejected || *p > strictest);
            }
        }

        #[test]
        fn the_order_does_not_matter(p_values in p_values(), by in 0_usize..12) {
            let mut turned = p_values.clone();
            let by = by % p_values.len();
            turned.rotate_left(by);
            let mut steps = step_down(&p_values, ALPHA);
            steps.rotate_left(by);
            prop_assert_eq!(steps, step_down(&turned, ALPHA));
        }

        #[test]
        fn smaller_p_values_never_lose(p_values in p_values(), factor in 0.0_f64..1.0) {
            let smaller: Vec<f64> = p_values.iter().map(|p| p * factor).collect();
            let before = step_down(&p_values, ALPHA);
            for (before, after) in before.iter().zip(step_down(&smaller, ALPHA)) {
                prop_assert!(!before.is_rejected || after.is_rejected);
            }
        }
    }
}
