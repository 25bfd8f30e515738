//! One metric of both sides: all that can be said of it before its level is known, and
//! what it is at a level.

use super::design::BlockFigures;
use super::word::{self, Unrest};
use super::{MetricComparison, Word, detectable, metrics, rank_sum, ranks, signed_rank};
use crate::bound::Metric;

/// Blocks of each side that an unpaired comparison takes at most: its exact test grows
/// with the fourth power of their number, and a run has about ten.
const MOST_BLOCKS: usize = 50;

/// One metric of both sides.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) metric: Metric,
    pub(super) is_judged: bool,
    values: Values,
    /// ln ratios of like to like, in pairs.
    noise: Vec<f64>,
    /// Going direct, then and now.
    anchors: Option<(Vec<f64>, Vec<f64>)>,
}

#[derive(Clone, Debug)]
enum Values {
    /// Of both sides of each pair.
    Paired(Vec<(f64, f64)>),
    /// Nothing belongs together.
    Apart(Vec<f64>, Vec<f64>),
}

impl Sample {
    /// The metric in these pairs; none if no pair has it on both sides.
    pub(super) fn paired(
        metric: Metric,
        is_judged: bool,
        pairs: &[(BlockFigures, BlockFigures)],
        noise: &[BlockFigures],
    ) -> Option<Self> {
        let both = pairs.iter().filter_map(|(baseline, candidate)| {
            Some((value(baseline, metric)?, value(candidate, metric)?))
        });
        let values: Vec<(f64, f64)> = both.collect();
        (!values.is_empty()).then(|| Self {
            metric,
            is_judged,
            values: Values::Paired(values),
            noise: of_noise(noise, metric),
            anchors: None,
        })
    }

    /// The metric in blocks of then and of now; none if one side lacks it.
    pub(super) fn apart(
        metric: Metric,
        is_judged: bool,
        [before, after]: [&[BlockFigures]; 2],
        noise: &[BlockFigures],
        [anchors_before, anchors_after]: [&[BlockFigures]; 2],
    ) -> Option<Self> {
        let all = |blocks: &[BlockFigures]| -> Vec<f64> {
            let values = blocks.iter().filter_map(|block| value(block, metric));
            values.take(MOST_BLOCKS).collect()
        };
        let (before, after) = (all(before), all(after));
        let anchors = (logs(&all(anchors_before)), logs(&all(anchors_after)));
        (!before.is_empty() && !after.is_empty()).then(|| Self {
            metric,
            is_judged,
            values: Values::Apart(before, after),
            noise: of_noise(noise, metric),
            anchors: Some(anchors).filter(|(then, now)| !then.is_empty() && !now.is_empty()),
        })
    }

    /// Pairs, or the blocks of the side that has fewer.
    pub(super) fn pairs(&self) -> usize {
        match &self.values {
            Values::Paired(pairs) => pairs.len(),
            Values::Apart(before, after) => before.len().min(after.len()),
        }
    }

    /// Whether it could be significant at this level, if the difference were large enough.
    pub(super) fn can_reach(&self, level: f64) -> bool {
        match &self.values {
            Values::Paired(pairs) => signed_rank::can_reach(pairs.len(), level),
            Values::Apart(before, after) => {
                rank_sum::critical(before.len(), after.len(), level).is_some()
            }
        }
    }

    pub(super) fn p(&self) -> f64 {
        match &self.values {
            Values::Paired(pairs) => signed_rank::p_two_sided(&differences(pairs)),
            Values::Apart(before, after) => rank_sum::p_two_sided(&logs(before), &logs(after)),
        }
    }

    /// How much going direct has changed from then to now, as a logarithm.
    pub(super) fn drift(&self) -> Option<f64> {
        let (then, now) = self.anchors.as_ref()?;
        rank_sum::estimate(then, now)
    }

    pub(super) fn has_anchors(&self) -> bool {
        self.anchors.is_some()
    }

    /// How restless the machine is by itself.
    pub(super) fn unrest(&self, level: f64) -> Unrest {
        let noise = Unrest::of(&self.noise, level);
        let Some((then, now)) = &self.anchors else {
            return noise;
        };
        // How certain the drift is has nothing to do with how many metrics are judged.
        let interval = rank_sum::interval(then, now, super::holm::ALPHA);
        let drift = self.drift().unwrap_or(0.0).abs();
        let reach = interval.map_or(drift, |(low, high)| low.abs().max(high.abs()));
        let has_moved = drift > metrics::margin(self.metric).ln_1p();
        noise.and(Unrest {
            reach,
            // Both days were measured: what moved between them is no chance.
            differs: true,
            has_moved,
        })
    }

    /// Whether nothing is known of how much like differs from like.
    pub(super) fn has_no_noise(&self) -> bool {
        self.noise.is_empty()
    }

    /// The metric tested at this level. `forced` is the word if it may not be judged.
    pub(super) fn at(&self, level: f64, forced: Option<Word>) -> MetricComparison {
        let margin = metrics::margin(self.metric);
        let differences = self.differences();
        let (baseline, candidate, estimate, interval) = match &self.values {
            Values::Paired(pairs) => (
                pairs.iter().map(|pair| pair.0).collect(),
                pairs.iter().map(|pair| pair.1).collect(),
                signed_rank::estimate(&differences),
                signed_rank::interval(&differences, level),
            ),
            Values::Apart(before, after) => (
                before.clone(),
                after.clone(),
                rank_sum::estimate(&logs(before), &logs(after)),
                rank_sum::interval(&logs(before), &logs(after), level),
            ),
        };
        let detectable = match &self.values {
            Values::Paired(pairs) => detectable::least(&self.noise, pairs.len(), level),
            // Pairs that stand side by side say little about days that do not.
            Values::Apart(..) => None,
        };
        let word = forced.unwrap_or_else(|| {
            let more_is_worse = metrics::more_is_worse(self.metric);
            word::of(interval, margin, more_is_worse, self.unrest(level))
        });
        MetricComparison {
            metric: self.metric,
            is_judged: self.is_judged,
            baseline: median(baseline),
            candidate: median(candidate),
            noise: self.noise.clone(),
            ratio: estimate.unwrap_or(0.0).exp(),
            low: interval.map(|(low, _)| low.exp()),
            high: interval.map(|(_, high)| high.exp()),
            p: self.p(),
            level,
            margin,
            detectable,
            word,
            differences,
        }
    }

    fn differences(&self) -> Vec<f64> {
        match &self.values {
            Values::Paired(pairs) => differences(pairs),
            Values::Apart(..) => Vec::new(),
        }
    }
}

fn differences(pairs: &[(f64, f64)]) -> Vec<f64> {
    pairs
        .iter()
        .map(|(baseline, candidate)| (candidate / baseline).ln())
        .collect()
}

/// Only what has a logarithm can be compared as a ratio.
pub(super) fn value(figures: &BlockFigures, metric: Metric) -> Option<f64> {
    let value = figures.get(&metric).copied();
    value.filter(|value| value.is_normal() && *value > 0.0)
}

fn of_noise(noise: &[BlockFigures], metric: Metric) -> Vec<f64> {
    let ratios = noise.iter().filter_map(|pair| pair.get(&metric).copied());
    ratios.filter(|ratio| ratio.is_finite()).collect()
}

fn logs(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.ln()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    ranks::sorted_median(&values).unwrap_or(0.0)
}
