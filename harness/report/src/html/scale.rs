//! From figures to places on a plot, and the round figures that stand along its axes.

/// How distances on an axis grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Evenly.
    Linear,
    /// With the logarithm.
    Log,
}

/// Figures from `from` to `to` along places from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) kind: Kind,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) start: f64,
    pub(super) end: f64,
}

/// Steps of a logarithmic axis within a decade.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

impl Scale {
    /// An even axis from zero to at least `most`, or what comes next that is round.
    pub(super) fn from_zero(most: f64, start: f64, end: f64) -> Self {
        let most = if most > 0.0 && most.is_finite() {
            most
        } else {
            1.0
        };
        let step = round_step(most / 4.0);
        Self {
            kind: Kind::Linear,
            from: 0.0,
            to: (most / step).ceil() * step,
            start,
            end,
        }
    }

    /// An even axis over exactly these figures.
    pub(super) fn exactly(from: f64, to: f64, start: f64, end: f64) -> Self {
        Self {
            kind: Kind::Linear,
            from,
            to: if to > from { to } else { from + 1.0 },
            start,
            end,
        }
    }

    /// A logarithmic axis that holds all positive figures, with round ends. It spans at
    /// least a factor of four, so that noise does not look like a mountain range.
    pub(super) fn log_over(values: impl Iterator<Item = f64>, start: f64, end: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let middle = (low * high).sqrt();
        let (low, high) = (low.min(middle / 2.0), high.max(middle * 2.0));
        Self {
            kind: Kind::Log,
            from: round_down(low),
            to: round_step(high),
            start,
            end,
        }
    }

    /// Where `value` stands; what lies outside stands at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = match self.kind {
            Kind::Linear => (value - self.from) / (self.to - self.from),
            Kind::Log => (value / self.from).ln() / (self.to / self.from).ln(),
        };
        let share = if share.is_finite() {
            share.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self.start + share * (self.end - self.start)
    }

    /// Round figures along the axis, about `wanted` of them.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<f64> {
        match self.kind {
            Kind::Linear => {
                let step = round_step((self.to - self.from) / wanted.max(1) as f64);
                let first = (self.from / step).ceil() as i64;
                let last = (self.to / step + 1e-9).floor() as i64;
                (first..=last).map(|at| at as f64 * step).collect()
            }
            Kind::Log => {
                let all = |steps: &[f64]| -> Vec<f64> {
                    let (low, high) = (
                        self.from.log10().floor() as i32,
                        self.to.log10().ceil() as i32,
                    );
                    (low..=high)
                        .flat_map(|power| steps.iter().map(move |step| step * 10_f64.powi(power)))
                        .filter(|v| *v >= self.from * 0.999_999 && *v <= self.to * 1.000_001)
                        .collect()
                };
                let dense = all(&STEPS);
                if dense.len() <= wanted + 2 {
                    dense
                } else {
                    all(&STEPS[..1])
                }
            }
        }
    }

    /// As the script reads it: kind, figures, places.
    pub(super) fn as_data(&self, unit: &str) -> String {
        let kind = match self.kind {
            Kind::Linear => "linear",
            Kind::Log => "log",
        };
        let Self {
            from,
            to,
            start,
            end,
            ..
        } = self;
        format!("{kind},{from},{to},{start:.1},{end:.1},{unit}")
    }
}

/// The next of 1, 2 and 5 times a power of ten that is not below.
fn round_step(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= value * 0.999_999)
        .unwrap_or(power * 10.0)
}

fn round_down(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    STEPS
        .into_iter()
        .rev()
        .map(|step| step * power)
        .find(|step| *step <= value * 1.000_001)
        .unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn axes_have_round_ends_and_ticks() {
        let scale = Scale::from_zero(137.0, 0.0, 100.0);
        assert_eq!(
            (scale.to, scale.ticks(4)),
            (150.0, vec![0.0, 50.0, 100.0, 150.0])
        );
        let log = Scale::log_over([33.0, 8_700.0].into_iter(), 0.0, 100.0);
        assert_eq!((log.from, log.to), (20.0, 10_000.0));
        assert_eq!(log.ticks(4), [100.0, 1_000.0, 10_000.0]);
        let narrow = Scale::log_over([100.0].into_iter(), 0.0, 100.0);
        assert_eq!((narrow.from, narrow.to), (50.0, 200.0));
        assert_eq!(narrow.ticks(4), [50.0, 100.0, 200.0]);
    }

    proptest! {
        #[test]
        fn everything_lies_on_the_axis(values in proptest::collection::vec(1e-3_f64..1e9, 1..20)) {
            let log = Scale::log_over(values.iter().copied(), 300.0, 20.0);
            let linear = Scale::from_zero(values.iter().copied().fold(0.0, f64::max), 300.0, 20.0);
            for scale in [log, linear] {
                let ticks = scale.ticks(4);
                prop_assert!((2..=16).contains(&ticks.len()), "{:?}: {:?}", scale, ticks);
                for value in values.iter().chain(&ticks) {
                    prop_assert!(scale.from <= value * 1.000_01 && value * 0.999_99 <= scale.to, "{} {:?}", value, scale);
                    prop_assert!((20.0..=300.0).contains(&scale.at(*value)));
                }
            }
        }
    }
}
