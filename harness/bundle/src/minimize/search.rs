//! Ways to look for fewer units of something with which a session still fails. What a unit
//! is, and what a session of some of them looks like, the caller says.

use std::ops::Range;

use super::trial::Trial;
use crate::session::Session;

/// Parts that are looked for at once: after each that can go they are looked for anew.
const PARTS_AT_ONCE: usize = 1024;

/// A session of these units, given by their indices in order.
pub(super) type Build<'a> = dyn Fn(&[usize]) -> Session + Sync + 'a;

/// Some units, and the session of them.
pub(super) struct Kept {
    pub(super) units: Vec<usize>,
    pub(super) session: Session,
}

impl Kept {
    /// All of so many units; `session` is of all of them.
    pub(super) fn all(count: usize, session: Session) -> Self {
        Self {
            units: (0..count).collect(),
            session,
        }
    }
}

/// Leaves out all units, if that fails still.
pub(super) fn none(trial: &Trial<'_>, kept: &mut Kept, build: &Build<'_>) {
    if !kept.units.is_empty() {
        take(trial, kept, Vec::new(), build);
    }
}

/// Keeps the last unit, or the last 2, 4, 8 …: what kills is most often near the end.
pub(super) fn last(trial: &Trial<'_>, kept: &mut Kept, build: &Build<'_>) {
    let count = kept.units.len();
    let lengths: Vec<usize> = std::iter::successors(Some(1), |len| Some(len * 2))
        .take_while(|len| *len < count)
        .collect();
    let units = &kept.units;
    let found = trial.first_failing(lengths.len(), &|i| build(&units[count - lengths[i]..]));
    if let Some((i, session)) = found {
        let units = kept.units.split_off(count - lengths[i]);
        *kept = Kept { units, session };
    }
}

/// Keeps the first few, as few as bisection finds: where each unit adds to what has gone
/// wrong, they are as few as can be.
pub(super) fn first(trial: &Trial<'_>, kept: &mut Kept, build: &Build<'_>) {
    let (mut survives, mut fails) = (0, kept.units.len());
    while survives + 1 < fails && !trial.is_over() {
        let middle = survives + (fails - survives) / 2;
        let units = kept.units[..middle].to_vec();
        if take(trial, kept, units, build) {
            fails = middle;
        } else {
            survives = middle;
        }
    }
}

/// What a unit is, as a number: of two equal neighbours it does not matter which one is left
/// out, so that only one of them is.
pub(super) type Values = [u64];

/// Leaves out parts, from halves down to single units, until none can be left out: delta
/// debugging, by complements alone, since the others are among those of the next size.
pub(super) fn ddmin(trial: &Trial<'_>, kept: &mut Kept, values: &Values, build: &Build<'_>) {
    none(trial, kept, build);
    let mut size = kept.units.len().div_ceil(2);
    while size > 0 && !kept.units.is_empty() && !trial.is_over() {
        let removed = sweep(trial, kept, size, values, build);
        // After a change single units that could not go before may be able to.
        if size > 1 {
            size = size.div_ceil(2).min(kept.units.len());
        } else if !removed {
            break;
        }
    }
}

/// Leaves out each part of this size that can go, and tells whether any could. From the end
/// on, so that indices before it stay what they are.
fn sweep(
    trial: &Trial<'_>,
    kept: &mut Kept,
    size: usize,
    values: &Values,
    build: &Build<'_>,
) -> bool {
    let mut removed = false;
    let mut end = kept.units.len();
    while end > 0 && !trial.is_over() {
        let (parts, next) = parts(&kept.units, end, size, values);
        let units = &kept.units;
        let without = |i: usize| [&units[..parts[i].start], &units[parts[i].end..]].concat();
        match trial.first_failing(parts.len(), &|i| build(&without(i))) {
            Some((i, session)) => {
                let units = without(i);
                end = parts[i].start;
                *kept = Kept { units, session };
                removed = true;
            }
            None => end = next,
        }
    }
    removed
}

/// The next parts before `end`, from the last on, and where they begin. One that is equal to
/// the part behind it is passed over: without either of them the same is left.
fn parts(units: &[usize], end: usize, size: usize, values: &Values) -> (Vec<Range<usize>>, usize) {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut to = end;
    while to > 0 && parts.len() < PARTS_AT_ONCE {
        let part = to.saturating_sub(size)..to;
        let behind = to..(to + size).min(units.len());
        let value = |range: &Range<usize>| units[range.clone()].iter().map(|unit| values[*unit]);
        // The part behind `end` may be one that has not been tried as it is now.
        if to == end || !value(&part).eq(value(&behind)) {
            parts.push(part.clone());
        }
        to = part.start;
    }
    (parts, to)
}

/// Keeps these, if that fails still.
fn take(trial: &Trial<'_>, kept: &mut Kept, units: Vec<usize>, build: &Build<'_>) -> bool {
    let session = build(&units);
    let fails = trial.fails(&session);
    if fails {
        *kept = Kept { units, session };
    }
    fails
}
