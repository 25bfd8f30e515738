//! The word for an interval beside a margin.

use super::Word;
use super::signed_rank::{interval, walsh_averages};

/// How restless the machine is by itself, in natural logarithms of ratios.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unrest {
    /// How far from none a difference of like to like may be.
    pub reach: f64,
    /// Whether like was seen to differ from like, for certain: then something else than
    /// chance is at work, and sides that differ by no more say nothing.
    pub differs: bool,
    /// Whether it is known to have changed by more than the margin between both sides.
    pub has_moved: bool,
}

impl Unrest {
    /// What pairs of like to like show at this level: how far the interval reaches that
    /// the same procedure gives, or everything that was seen if they are too few for one.
    #[must_use]
    pub fn of(noise: &[f64], level: f64) -> Self {
        let walsh = walsh_averages(noise);
        let span = interval(noise, level).or(walsh.first().copied().zip(walsh.last().copied()));
        let reach = span.map_or(0.0, |(low, high)| low.abs().max(high.abs()));
        let differs = interval(noise, level).is_some_and(|(low, high)| low > 0.0 || high < 0.0);
        Self {
            reach,
            differs,
            has_moved: false,
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            reach: self.reach.max(other.reach),
            differs: self.differs || other.differs,
            has_moved: self.has_moved || other.has_moved,
        }
    }
}

/// What can be said of an `interval` of ln(candidate / baseline). The `margin` is a ratio,
/// and as far away on both sides in logarithms, so that swapping the sides swaps the words.
#[must_use]
pub fn of(interval: Option<(f64, f64)>, margin: f64, more_is_worse: bool, unrest: Unrest) -> Word {
    if unrest.has_moved {
        return Word::Unstable;
    }
    let margin = margin.ln_1p();
    let is_restless = unrest.reach > margin;
    let doubtful = if is_restless {
        Word::Unstable
    } else {
        Word::Inconclusive
    };
    let Some((low, high)) = interval else {
        return doubtful;
    };
    let (low, high) = if more_is_worse {
        (low, high)
    } else {
        (-high, -low)
    };
    // That the machine is restless has made the interval wide enough already. Only where
    // like differs from like for certain is it not enough to be beyond the margin.
    let far = if unrest.differs {
        margin.max(unrest.reach)
    } else {
        margin
    };
    if low > far {
        Word::Slower
    } else if high < -far {
        Word::Faster
    } else if low < -margin || high > margin {
        doubtful
    } else if low > 0.0 || high < 0.0 {
        Word::ChangedWithinMargin
    } else {
        Word::Equivalent
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(low: f64, high: f64) -> Word {
        of(
            Some((low.ln_1p(), high.ln_1p())),
            0.05,
            true,
            Unrest::default(),
        )
    }

    #[test]
    fn words_at_the_margins() {
        assert_eq!(word(0.051, 0.2), Word::Slower);
        assert_eq!(word(0.05, 0.2), Word::Inconclusive, "it touches the margin");
        assert_eq!(
            word(0.01, 0.2),
            Word::Inconclusive,
            "it straddles the margin"
        );
        assert_eq!(word(-0.2, 0.2), Word::Inconclusive);
        assert_eq!(word(0.001, 0.05), Word::ChangedWithinMargin);
        assert_eq!(word(0.0, 0.05), Word::Equivalent);
        assert_eq!(word(-0.01, 0.049), Word::Equivalent);
        assert_eq!(word(-0.04, -0.001), Word::ChangedWithinMargin);
        assert_eq!(word(1.0 / 1.051 - 1.0, -0.001), Word::Inconclusive);
        assert_eq!(word(-0.3, -0.05), Word::Faster, "beyond 1/1.05");
        assert_eq!(of(None, 0.05, true, Unrest::default()), Word::Inconclusive);
    }

    #[test]
    fn less_of_a_rate_is_worse() {
        let rate = |low: f64, high: f64| of(Some((low, high)), 0.05, false, Unrest::default());
        assert_eq!(rate(-0.2, -0.1), Word::Slower);
        assert_eq!(rate(0.1, 0.2), Word::Faster);
        assert_eq!(rate(-0.01, 0.01), Word::Equivalent);
    }

    #[test]
    fn restless_machines_need_more() {
        let restless = Unrest {
            reach: 0.08,
            differs: true,
            has_moved: false,
        };
        let word = |low, high| of(Some((low, high)), 0.05, true, restless);
        assert_eq!(word(-0.2, 0.2), Word::Unstable);
        assert_eq!(
            word(0.06, 0.2),
            Word::Unstable,
            "no more than like from like"
        );
        assert_eq!(word(-0.2, -0.06), Word::Unstable);
        assert_eq!(word(0.09, 0.2), Word::Slower);
        assert_eq!(word(-0.2, -0.09), Word::Faster);
        assert_eq!(word(-0.01, 0.01), Word::Equivalent);
        assert_eq!(of(None, 0.05, true, restless), Word::Unstable);
        let by_chance = Unrest {
            differs: false,
            ..restless
        };
        let word = |low, high| of(Some((low, high)), 0.05, true, by_chance);
        assert_eq!(word(0.06, 0.2), Word::Slower, "the interval knows of that");
        assert_eq!(word(0.04, 0.2), Word::Unstable);
        let moved = Unrest {
            has_moved: true,
            ..Unrest::default()
        };
        assert_eq!(of(Some((-0.01, 0.01)), 0.05, true, moved), Word::Unstable);
    }

    #[test]
    fn unrest_is_what_the_same_procedure_says_of_noise() {
        let noise = [-0.2, 0.01, 0.02, -0.01, -0.02, 0.03, -0.03, 0.0];
        let (low, high) = interval(&noise, 0.05).unwrap();
        assert_eq!(Unrest::of(&noise, 0.05).reach, low.abs().max(high.abs()));
        assert_eq!(
            Unrest::of(&noise, 1e-6).reach,
            0.2,
            "too few: all that was seen"
        );
        assert_eq!(Unrest::of(&[], 0.05), Unrest::default());
    }

    proptest! {
        #[test]
        fn swapping_sides_swaps_the_words(
            middle in -0.2_f64..0.2,
            half in 0.0_f64..0.1,
            reach in 0.0_f64..0.1,
            differs in proptest::bool::ANY,
        ) {
            let unrest = Unrest { reach, differs, has_moved: false };
            let there = of(Some((middle - half, middle + half)), 0.05, true, unrest);
            let back = of(Some((-middle - half, -middle + half)), 0.05, true, unrest);
            let swapped = match there {
                Word::Slower => Word::Faster,
                Word::Faster => Word::Slower,
                other => other,
            };
            prop_assert_eq!(back, swapped);
            let less = of(Some((-middle - half, -middle + half)), 0.05, false, unrest);
            prop_assert_eq!(less, there);
        }
    }
}
