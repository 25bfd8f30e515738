//! The algorithms.

use std::net::IpAddr;

use rand::RngExt;

use super::candidates::Candidates;
use crate::algorithm::Algorithm;
use crate::picker::Picker;

/// How far above the average a load may be with [`Algorithm::Hash`], as a fraction: 5/4, the
/// factor that Vimeo and Google report in production. A smaller one moves more keys away
/// from their first choice, a larger one makes the loads less even.
pub const BOUND_FACTOR: (u64, u64) = (5, 4);

/// What an unmeasured backend with load costs: more than any that is measured, as in
/// Finagle; without load it costs nothing, so that it gets measured.
const PENALTY: f64 = 1e15;

/// A backend to take a place on.
pub(super) struct Choice {
    /// Its index.
    pub(super) member: usize,
    /// The connections that it may have with this one, whatever its own limit is.
    pub(super) bound: u32,
}

/// Chooses one of the candidates; `None` when there is nothing to choose from.
pub(super) fn choose(
    picker: &mut Picker,
    candidates: &Candidates<'_>,
    source: Option<IpAddr>,
) -> Option<Choice> {
    let member = match (candidates.pool.algorithm, source) {
        (Algorithm::Hash, Some(source)) => return hash(picker, candidates, source),
        (Algorithm::Random | Algorithm::Hash, _) => candidates.draw(&mut picker.rng, None),
        (Algorithm::P2c, _) => two_choices(picker, candidates, connections),
        (Algorithm::P2cEwma, _) => two_choices(picker, candidates, latency),
        (Algorithm::RoundRobin, _) => round_robin(picker, candidates),
        (Algorithm::LeastConn, _) => least_connections(picker, candidates),
    }?;
    Some(Choice {
        member,
        bound: u32::MAX,
    })
}

/// What one more connection costs: by their number.
fn connections(candidates: &Candidates<'_>, member: usize) -> f64 {
    f64::from(candidates.pool.backends[member].active()) + 1.0
}

/// What one more connection costs: by latency and their number (peak-EWMA).
fn latency(candidates: &Candidates<'_>, member: usize) -> f64 {
    let backend = &candidates.pool.backends[member];
    let active = f64::from(backend.active());
    match backend.latency_us(candidates.now_ms) {
        Some(latency_us) => f64::from(latency_us) * (active + 1.0),
        None if active > 0.0 => PENALTY + active,
        None => 0.0,
    }
}

/// Draws two and takes the one where a connection costs less per share; the first when equal.
fn two_choices(
    picker: &mut Picker,
    candidates: &Candidates<'_>,
    cost: impl Fn(&Candidates<'_>, usize) -> f64,
) -> Option<usize> {
    let first = candidates.draw(&mut picker.rng, None)?;
    let Some(second) = candidates.draw(&mut picker.rng, Some(first)) else {
        return Some(first);
    };
    // One that has just become ineligible loses.
    let per_share = |member| {
        candidates.eligible(member).map_or(f64::INFINITY, |share| {
            cost(candidates, member) / f64::from(share)
        })
    };
    Some(if per_share(second) < per_share(first) {
        second
    } else {
        first
    })
}

/// The fewest connections per share; among equals a random place to begin decides, so that
/// workers that start at the same moment do not all run to the first.
fn least_connections(picker: &mut Picker, candidates: &Candidates<'_>) -> Option<usize> {
    let members = candidates.len();
    if members == 0 {
        return None;
    }
    let begin = picker.rng.random_range(0..members);
    let mut best = None;
    for member in (begin..members).chain(0..begin) {
        let Some(share) = candidates.eligible(member) else {
            continue;
        };
        let load = connections(candidates, member) / f64::from(share);
        if best.is_none_or(|(least, _)| load < least) {
            best = Some((load, member));
        }
    }
    best.map(|(_, member)| member)
}

/// nginx's smooth weighted round robin (`ngx_http_upstream_get_peer`): each turn, everyone's
/// current weight grows by its share, and the greatest is chosen and pays what all gained.
fn round_robin(picker: &mut Picker, candidates: &Candidates<'_>) -> Option<usize> {
    let members = candidates.len();
    let current = &mut picker.turns(&candidates.pool.identity, members).current;
    let mut total = 0;
    let mut best: Option<usize> = None;
    for member in 0..members {
        let Some(share) = candidates.eligible(member) else {
            continue;
        };
        current[member] += i64::from(share);
        total += i64::from(share);
        if best.is_none_or(|best| current[member] > current[best]) {
            best = Some(member);
        }
    }
    current[best?] -= total;
    best
}

/// Consistent hashing with bounded loads: the first backend along the ring from the source's
/// place whose load, with this connection, is at most [`BOUND_FACTOR`] times its share of
/// all connections, rounded up. When tries and limits leave none such, the first eligible.
fn hash(picker: &mut Picker, candidates: &Candidates<'_>, source: IpAddr) -> Option<Choice> {
    let members = candidates.len();
    let (mut connections, mut shares) = (1, 0);
    for member in 0..members {
        if let Some(share) = candidates.share(member) {
            connections += u64::from(candidates.pool.backends[member].active());
            shares += u64::from(share);
        }
    }
    let (factor, per) = BOUND_FACTOR;
    let bound = |share: u32| {
        let bound = (factor * connections * u64::from(share)).div_ceil(per * shares.max(1));
        u32::try_from(bound).unwrap_or(u32::MAX)
    };
    picker.seen.clear();
    picker.seen.resize(members.div_ceil(64), 0);
    let mut unseen = members;
    let mut first = None;
    for member in candidates.pool.ring.walk(source) {
        let (word, bit) = (&mut picker.seen[member / 64], 1 << (member % 64));
        if *word & bit != 0 {
            continue;
        }
        *word |= bit;
        unseen -= 1;
        if let Some(share) = candidates.eligible(member) {
            let bound = bound(share);
            if candidates.pool.backends[member].active() < bound {
                return Some(Choice { member, bound });
            }
            first = first.or(Some(member));
        }
        if unseen == 0 {
            break;
        }
    }
    first.map(|member| Choice {
        member,
        bound: u32::MAX,
    })
}
