//! Which backends of a pool a pick may choose, and how large their shares are.

use std::net::SocketAddr;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::{NoBackend, Pool};
use crate::gate::WEIGHT_PARTS;
use crate::spec::AdminState;
use crate::status::Status;

/// How often a draw is made again when it hits a backend that is not eligible, before the
/// eligible ones are counted: usually all are, and no draw is ever made again.
const REDRAWS: usize = 4;

/// Which backends take part in a pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    /// Those that take connections.
    Up,
    /// Those that only a passive ejection keeps from taking connections.
    Ejected,
    /// All that the operator has not taken out: health does not count.
    Enabled,
}

/// The backends of a pool as one pick sees them.
pub(super) struct Candidates<'a> {
    pub(super) pool: &'a Pool,
    pub(super) now_ms: u64,
    tried: &'a [SocketAddr],
    among: Among,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(pool: &'a Pool, now_ms: u64, tried: &'a [SocketAddr], among: Among) -> Self {
        Self {
            pool,
            now_ms,
            tried,
            among,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.pool.backends.len()
    }

    /// The present share of a backend that takes part, tried and full or not, in parts of
    /// a weight.
    pub(super) fn share(&self, member: usize) -> Option<u32> {
        let view = self.pool.backends[member].view();
        let weight = self.pool.weights[member];
        let status = view.status(self.now_ms);
        // A slow start is for a backend among others that are warm: without them, none is.
        let full = weight * WEIGHT_PARTS;
        match self.among {
            Among::Up => status
                .takes_connections()
                .then(|| view.effective_weight(weight, self.now_ms)),
            Among::Ejected => matches!(status, Status::Ejected { .. }).then_some(full),
            Among::Enabled => (view.admin == AdminState::Enabled).then_some(full),
        }
    }

    fn was_tried(&self, member: usize) -> bool {
        self.tried.contains(&self.pool.backends[member].addr())
    }

    /// The present share of a backend that may be chosen.
    pub(super) fn eligible(&self, member: usize) -> Option<u32> {
        let share = self.share(member)?;
        (!self.was_tried(member) && !self.pool.backends[member].is_full()).then_some(share)
    }

    /// Draws one that may be chosen, but not `except`, in proportion to the shares.
    pub(super) fn draw(
        &self,
        rng: &mut Xoshiro256PlusPlus,
        except: Option<usize>,
    ) -> Option<usize> {
        let total = *self.pool.cumulative.last()?;
        for _ in 0..REDRAWS {
            let drawn = rng.random_range(0..total);
            let member = self.pool.cumulative.partition_point(|&sum| sum <= drawn);
            if except == Some(member) {
                continue;
            }
            // A share that is still growing is as much less likely to be accepted.
            let full = self.pool.weights[member] * WEIGHT_PARTS;
            match self.eligible(member) {
                Some(share) if share == full || rng.random_range(0..full) < share => {
                    return Some(member);
                }
                _ => {}
            }
        }
        self.count_and_draw(rng, except)
    }

    /// As [`draw`](Self::draw), looking at all of them.
    fn count_and_draw(&self, rng: &mut Xoshiro256PlusPlus, except: Option<usize>) -> Option<usize> {
        let shares = || {
            (0..self.len())
                .filter(move |&member| Some(member) != except)
                .filter_map(|member| Some((member, u64::from(self.eligible(member)?))))
        };
        let total: u64 = shares().map(|(_, share)| share).sum();
        if total == 0 {
            return None;
        }
        let mut left = rng.random_range(0..total);
        let mut last = None;
        for (member, share) in shares() {
            last = Some(member);
            if left < share {
                break;
            }
            left -= share;
        }
        // Shares may have changed since they were summed up: then the last one has it.
        last
    }

    /// Why there is nothing to choose.
    pub(super) fn why_none(&self) -> NoBackend {
        if self.len() == 0 {
            return NoBackend::Empty;
        }
        let mut error = NoBackend::AllDown;
        for member in (0..self.len()).filter(|&member| self.share(member).is_some()) {
            if !self.was_tried(member) {
                return NoBackend::AllFull;
            }
            error = NoBackend::NoneLeft;
        }
        error
    }
}
