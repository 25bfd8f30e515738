//! The search itself: which rate is tried next, as a function of what the ones before it
//! showed.
//!
//! Each round gallops (Bentley and Yao, "An almost optimal algorithm for unbounded
//! searching", 1976) from where it begins until one rate holds and a higher one does not,
//! then halves the span between them on a logarithmic scale. The first round begins at
//! the plan's first rate and doubles; each later one begins near what was found so far
//! and takes steps that grow, so that it comes to a finding of its own even where the
//! ones before it were led astray. Within a round every rate that is tried lies outside
//! or between what is known, so a bound that fails and holds again at a higher rate
//! cannot make it contradict itself.
//!
//! What else goes on on a machine makes times longer, never shorter: one block that does
//! not hold may be a block that was disturbed. So it takes two to say that a rate does not
//! hold, unless the rate was missed by far.

use super::{CapacityPlan, Limit};
use crate::figures::median;

/// Steps of the first round: up or down by this factor.
const CLIMB: f64 = 2.0;

/// The first step of a later round. The steps after it grow: this to the power of 2, 4, 8,
/// up to [`CLIMB`].
const STEP: f64 = 1.15;

/// How far below the first rate it is looked for one that holds.
const MOST_HALVINGS: u32 = 10;

/// Blocks of a later round beyond those that close in, each of them twice: two or three are
/// usual, the others are for one that begins far off.
const GALLOP: usize = 10;

/// Blocks of the first round beyond those it needs, for blocks that have to be repeated.
const SPARE: usize = 8;

/// The share of the golden section: multiples of it fill an interval evenly.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// What a block at some rate showed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Showed {
    /// The bound holds.
    Holds,
    /// It does not, and why; but something may have disturbed it.
    Fails(String),
    /// It does not by far, and why.
    Overloaded(String),
    /// The load client is at fault that it does not, and how.
    Client(String),
    /// Nothing, and why: there is no figure to judge by.
    Nothing(String),
    /// The proxy or the upstream is gone, and how: a search for speed is over.
    Down(String),
}

/// What a round found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// The highest rate that held.
    pub(super) rate: f64,
    /// What was wrong with the next one.
    pub(super) limit: Limit,
    /// In words, with the rate.
    pub(super) why: String,
}

/// The search for one subject, so far.
#[derive(Clone, Debug)]
pub(super) struct Search<'a> {
    plan: &'a CapacityPlan,
    /// 0 is the climb; the others count from 1.
    pub(super) round: u32,
    blocks: usize,
    start: f64,
    /// The factor of the next step of galloping.
    step: f64,
    has_stepped: bool,
    /// The highest rate of the round that held.
    low: Option<f64>,
    /// The lowest that did not.
    high: Option<Finding>,
    /// The rate that is tried once more, because one block is not enough to refuse it.
    again: Option<f64>,
    /// What the climb and the rounds found.
    pub(super) climb: Option<Finding>,
    pub(super) found: Vec<Finding>,
    /// Why it is over before its end.
    pub(super) cut: Option<String>,
    /// What was wrong with the least rate, if none held.
    pub(super) least: Option<Finding>,
}

impl<'a> Search<'a> {
    pub(super) fn new(plan: &'a CapacityPlan) -> Self {
        Self {
            plan,
            round: 0,
            blocks: 0,
            start: rounded(plan.first_rate.min(plan.most)),
            step: CLIMB,
            has_stepped: false,
            low: None,
            high: None,
            again: None,
            climb: None,
            found: Vec::new(),
            cut: None,
            least: None,
        }
    }

    /// The rate of the next block; none if the search is over.
    pub(super) fn asks(&self) -> Option<f64> {
        if self.cut.is_some() || self.is_over() {
            return None;
        }
        let rate = match (self.low, &self.high) {
            _ if self.again.is_some() => self.again?,
            (None, None) => self.start,
            (Some(low), None) => low * self.step,
            (None, Some(high)) => high.rate / self.step,
            (Some(low), Some(high)) => (low * high.rate).sqrt(),
        };
        Some(rounded(rate).clamp(rounded(self.floor()), self.plan.most))
    }

    /// Takes what a block showed at that rate.
    pub(super) fn take(&mut self, rate: f64, showed: Showed) {
        if self.asks().is_none() {
            return;
        }
        self.blocks += 1;
        let is_first_try = self.again.take().is_none();
        let at = crate::text::number::rate(rate);
        match showed {
            Showed::Down(why) => self.cut = Some(format!("at {at} {why}")),
            Showed::Holds => {
                self.low = Some(rate);
                self.lengthen_step();
            }
            Showed::Overloaded(why) => {
                self.fails(rate, Limit::Bound, format!("at {at} {why}"));
            }
            _ if is_first_try => self.again = Some(rate),
            Showed::Fails(why) => self.fails(rate, Limit::Bound, format!("at {at} {why}")),
            Showed::Client(why) => {
                let why = format!("at {at} the load client was at its limit: {why}");
                self.fails(rate, Limit::LoadClient, why);
            }
            // It would be the same at any rate.
            Showed::Nothing(why) => {
                self.cut = Some(format!("at {at} nothing can be judged: {why}"));
            }
        }
        self.end_round_if_done();
    }

    fn fails(&mut self, rate: f64, limit: Limit, why: String) {
        self.high = Some(Finding { rate, limit, why });
        self.lengthen_step();
    }

    /// After the block with which a round begins comes its first step, then longer ones.
    fn lengthen_step(&mut self) {
        if self.has_stepped {
            self.step = (self.step * self.step).min(CLIMB);
        }
        self.has_stepped = true;
    }

    fn end_round_if_done(&mut self) {
        let is_out = self.blocks >= self.most_in_this_round();
        let is_close = match (self.low, &self.high) {
            (Some(low), _) if low >= self.plan.most => true,
            (Some(low), Some(high)) => high.rate / low <= 1.0 + self.plan.resolution,
            // Rates are rounded: one that is the floor may lie a little above it.
            (None, Some(high)) => high.rate <= self.floor() * 1.01,
            _ => false,
        };
        let is_done = is_close && self.again.is_none();
        if !is_out && !is_done {
            return;
        }
        let finding = self.low.map(|rate| self.finding(rate, is_done));
        if self.round == 0 {
            if finding.is_none() {
                self.least = self.high.take();
            }
            self.climb = finding;
        } else {
            self.found.extend(finding);
        }
        self.begin_round();
    }

    /// What a round found whose highest rate that held is this. One that ran out of blocks
    /// before it was done knows only that its capacity is no less.
    fn finding(&self, rate: f64, is_done: bool) -> Finding {
        if rate >= self.plan.most {
            let most = crate::text::number::rate(rate);
            return Finding {
                rate,
                limit: Limit::Most,
                why: format!("{most} held, and no more was tried"),
            };
        }
        match &self.high {
            Some(high) if is_done => Finding {
                rate,
                ..high.clone()
            },
            Some(high) => Finding {
                rate,
                limit: Limit::Unfinished,
                why: format!("{} blocks did not close it in: {}", self.blocks, high.why),
            },
            None => Finding {
                rate,
                limit: Limit::Unfinished,
                why: "no rate was found that does not hold".to_owned(),
            },
        }
    }

    fn begin_round(&mut self) {
        self.round += 1;
        self.blocks = 0;
        self.step = STEP;
        self.has_stepped = false;
        self.low = None;
        self.high = None;
        self.again = None;
        let so_far = self.climb.iter().chain(&self.found);
        let middle = median(so_far.map(|finding| finding.rate)).unwrap_or(self.start);
        // No two rounds try the same rates, or they would find the same for that reason.
        let shift = (f64::from(self.round) * GOLDEN).fract() - 0.5;
        self.start = rounded(middle * (1.0 + self.plan.resolution).powf(shift)).min(self.plan.most);
    }

    /// Whether all rounds are through, or the climb found no rate that holds.
    fn is_over(&self) -> bool {
        self.round > self.plan.rounds || (self.round > 0 && self.climb.is_none())
    }

    /// Rounds that are over and found no rate that holds.
    pub(super) fn found_none(&self) -> usize {
        (self.round as usize)
            .saturating_sub(1)
            .saturating_sub(self.found.len())
    }

    /// The highest rate that held in a round that did not come to its end.
    pub(super) fn held_so_far(&self) -> Option<f64> {
        self.low
    }

    fn floor(&self) -> f64 {
        // The search begins no higher than the most, whatever the first rate is.
        self.plan.first_rate.min(self.plan.most) / CLIMB.powi(MOST_HALVINGS as i32)
    }

    fn most_in_this_round(&self) -> usize {
        if self.round == 0 {
            most_in_climb(self.plan)
        } else {
            most_in_round(self.plan)
        }
    }
}

fn most_in_climb(plan: &CapacityPlan) -> usize {
    let up = (plan.most / plan.first_rate).max(1.0).log2().ceil() as usize;
    2 + up.max(2 * MOST_HALVINGS as usize) + 2 * closing_in(plan) + SPARE
}

fn most_in_round(plan: &CapacityPlan) -> usize {
    GALLOP + 2 * closing_in(plan)
}

/// Blocks until a span of [`CLIMB`] is within the resolution.
fn closing_in(plan: &CapacityPlan) -> usize {
    let halvings = CLIMB.ln() / plan.resolution.ln_1p();
    halvings.max(1.0).log2().ceil() as usize
}

/// Blocks that a search takes at most for one subject, whatever they show.
#[must_use]
pub fn most_blocks(plan: &CapacityPlan) -> usize {
    most_in_climb(plan) + plan.rounds as usize * most_in_round(plan)
}

/// Blocks that it usually takes for one subject: a climb of a few doublings, and in each
/// round two to find both sides, two or three between them, and those that are repeated.
#[must_use]
pub fn usual_blocks(plan: &CapacityPlan) -> usize {
    6 + 2 * closing_in(plan) + 7 * plan.rounds as usize
}

/// Four digits are enough, and read better.
pub(super) fn rounded(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.log10().floor() - 3.0);
    (rate / unit).round() * unit
}
