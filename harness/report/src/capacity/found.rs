//! What came of a search: a rate, how certain it is, and what ended the climb.

use super::search::{Finding, Search};
use super::{Capacity, CapacityPlan, Limit, replayed};
use crate::expect::Origin;
use crate::figures::{DIRECT, median};
use crate::run::ScenarioRun;
use crate::text::capacity::short_rate;
use crate::verdict::{Outcome, Verdict};

/// The most of the rounds may be this many times the least: beyond that something else
/// than the subject decides what is found.
const MOST_SPREAD: f64 = 2.0;

/// What the search found for each subject, in the order of the scenario's header; nothing
/// if the scenario is no search.
#[must_use]
pub fn of(scenario: &ScenarioRun) -> Vec<Capacity> {
    let Some(plan) = &scenario.header.capacity else {
        return Vec::new();
    };
    let subjects = &scenario.header.subjects;
    let mut all: Vec<Capacity> = subjects
        .iter()
        .map(|subject| capacity(scenario, plan, subject))
        .collect();
    let direct = all.iter().find(|capacity| capacity.subject == DIRECT);
    if let Some(least) = direct.and_then(|direct| direct.low) {
        for capacity in all.iter_mut().filter(|capacity| capacity.subject != DIRECT) {
            // What cannot be told apart from going direct is not known to cost anything.
            if capacity.high.is_some_and(|high| high >= least) {
                capacity.why.push_str(
                    "; going direct takes no more, so the server, the load client or the \
                     machine may be the limit",
                );
            }
        }
    }
    for capacity in all.iter_mut().filter(|capacity| is_unstable(capacity)) {
        capacity.why.push_str(
            "; UNSTABLE, the rounds are too far apart: something else than what is measured \
             was using this machine, or the bound is too tight for it",
        );
    }
    all
}

fn capacity(scenario: &ScenarioRun, plan: &CapacityPlan, subject: &str) -> Capacity {
    let blocks = scenario
        .blocks
        .iter()
        .filter(|block| block.subject == subject);
    // One that was cut short shows nothing.
    let blocks = blocks.filter(|block| block.ended_mono_ns.is_some() && block.problem.is_none());
    let (search, points) = replayed(plan, blocks);
    let rounds: Vec<f64> = search.found.iter().map(|finding| finding.rate).collect();
    let rate = median(rounds.iter().copied())
        .or_else(|| search.climb.as_ref().map(|finding| finding.rate))
        .or_else(|| search.held_so_far());
    let (limited_by, mut why) = ending(&search, rate, points.is_empty());
    let found_none = search.found_none();
    if found_none > 0 {
        let all = plan.rounds;
        why.push_str(&format!("; {found_none} of {all} rounds found none"));
    }
    Capacity {
        subject: subject.to_owned(),
        rate,
        low: rounds.iter().copied().reduce(f64::min),
        high: rounds.iter().copied().reduce(f64::max),
        rounds,
        limited_by,
        why,
        points,
    }
}

fn ending(search: &Search<'_>, rate: Option<f64>, is_empty: bool) -> (Limit, String) {
    if is_empty {
        return (Limit::Unfinished, "nothing was measured".to_owned());
    }
    if let Some(cut) = &search.cut {
        return (Limit::Unfinished, format!("{cut}: the search is over"));
    }
    if search.asks().is_some() {
        let why = "the search was cut short".to_owned();
        return (Limit::Unfinished, why);
    }
    if let Some(least) = &search.least {
        return (least.limit, format!("no rate held: {}", least.why));
    }
    let found = if search.found.is_empty() {
        search.climb.as_slice()
    } else {
        search.found.as_slice()
    };
    most_often(found, rate.unwrap_or_default())
}

/// What most rounds ended with, in the words of the one of them that found what is
/// nearest to `rate`. Where as many ended with the load client's limit, the bound is not
/// shown to be it.
fn most_often(found: &[Finding], rate: f64) -> (Limit, String) {
    let order = [
        Limit::LoadClient,
        Limit::Unfinished,
        Limit::Most,
        Limit::Bound,
    ];
    let of = |limit: Limit| found.iter().filter(move |one| one.limit == limit);
    let most = order.map(|limit| of(limit).count()).into_iter().max();
    let limit = order
        .into_iter()
        .find(|limit| Some(of(*limit).count()) == most);
    let nearest = limit.and_then(|limit| {
        of(limit).min_by(|a, b| (a.rate - rate).abs().total_cmp(&(b.rate - rate).abs()))
    });
    match nearest {
        Some(one) => (one.limit, one.why.clone()),
        None => (
            Limit::Unfinished,
            "no round found a rate that holds".to_owned(),
        ),
    }
}

/// What the search is for: a highest rate for what is judged, known to be one.
#[must_use]
pub fn verdict(scenario: &ScenarioRun) -> Option<Verdict> {
    let plan = scenario.header.capacity.as_ref()?;
    let capacity = scenario
        .capacity
        .iter()
        .find(|capacity| capacity.subject == scenario.subject())?;
    let is_found = matches!(capacity.limited_by, Limit::Bound | Limit::Most);
    // A round that found no rate that holds says otherwise than those that found one.
    let agrees = capacity.rounds.len() >= plan.rounds as usize && !is_unstable(capacity);
    let outcome = match capacity.rate {
        Some(_) if is_found && scenario.complete && agrees => Outcome::Pass,
        None if is_found => Outcome::Fail,
        _ => Outcome::Inconclusive,
    };
    Some(Verdict {
        expectation: format!("a highest rate with {}", plan.bound),
        origin: Origin::CommandLine,
        outcome,
        is_survival: false,
        evidence: sentence(capacity),
    })
}

/// Whether the rounds differ by so much that none of them can be believed.
fn is_unstable(capacity: &Capacity) -> bool {
    let spread = capacity
        .high
        .zip(capacity.low)
        .map(|(high, low)| high / low);
    spread.is_some_and(|spread| spread > MOST_SPREAD)
}

/// `41.2k/s (39.8k/s–42.5k/s over 5 rounds): at 43.0k/s p99 is 2.31 ms`.
#[must_use]
pub(crate) fn sentence(capacity: &Capacity) -> String {
    format!("{}: {}", rate(capacity), capacity.why)
}

/// The rate with its uncertainty, and `at least` where it may be more.
#[must_use]
pub(crate) fn rate(capacity: &Capacity) -> String {
    let Some(rate) = capacity.rate else {
        return "none".to_owned();
    };
    let mut said = short_rate(rate);
    if capacity.limited_by != Limit::Bound {
        said = format!("at least {said}");
    }
    if let (Some(low), Some(high)) = (capacity.low, capacity.high) {
        let rounds = capacity.rounds.len();
        let plural = if rounds == 1 { "" } else { "s" };
        let (low, high) = (short_rate(low), short_rate(high));
        said.push_str(&format!(" ({low}–{high} over {rounds} round{plural})"));
    }
    said
}
