//! What picking reads of a backend's health, without a lock.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::spec::AdminState;
use crate::status::{CheckState, Status};

/// Weights are counted in this many parts, so that a slow start has steps even for weight 1.
pub(crate) const WEIGHT_PARTS: u32 = 256;

/// `ramp_from_ms` when there is no slow start.
const NEVER: u64 = u64::MAX;

/// Everything that a backend's status at a moment follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) admin: AdminState,
    pub(crate) check: CheckState,
    /// Out until then; `None` when not ejected.
    pub(crate) ejected_until_ms: Option<u64>,
    /// The share grows from then; `None` when it does not.
    pub(crate) ramp_from_ms: Option<u64>,
    pub(crate) slow_start_ms: u64,
}

impl View {
    /// The status at a moment.
    pub(crate) fn status(&self, now_ms: u64) -> Status {
        match (self.admin, self.check) {
            (AdminState::Disabled, _) => return Status::Disabled,
            (AdminState::Draining, _) => return Status::Draining,
            (AdminState::Enabled, CheckState::Down) => return Status::Down,
            (AdminState::Enabled, CheckState::Unknown | CheckState::Up) => {}
        }
        if let Some(until_ms) = self.ejected_until_ms.filter(|&until_ms| now_ms < until_ms) {
            return Status::Ejected { until_ms };
        }
        if self.ramp(now_ms).is_some() {
            Status::SlowStart
        } else if self.check == CheckState::Unknown {
            Status::Unknown
        } else {
            Status::Up
        }
    }

    /// How far into its slow start it is, in milliseconds; `None` outside of one.
    fn ramp(&self, now_ms: u64) -> Option<u64> {
        // Not yet begun counts as just begun: the clock that set it may be a moment ahead.
        let elapsed_ms = now_ms.saturating_sub(self.ramp_from_ms?);
        (elapsed_ms < self.slow_start_ms).then_some(elapsed_ms)
    }

    /// The share that a weight gives at a moment, in [`WEIGHT_PARTS`]: never nothing, so
    /// that a backend that is alone is still found.
    pub(crate) fn effective_weight(&self, weight: u32, now_ms: u64) -> u32 {
        let full = weight * WEIGHT_PARTS;
        match self.ramp(now_ms) {
            None => full,
            Some(elapsed_ms) => {
                let part =
                    u128::from(full) * u128::from(elapsed_ms) / u128::from(self.slow_start_ms);
                u32::try_from(part).unwrap_or(full).max(1)
            }
        }
    }
}

/// A [`View`] in atomics: written under the lock of the health, read by every pick.
///
/// The words are read one by one. A pick that runs while they change sees some of the old
/// and some of the new, each of them true at that moment.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Admin state in bits 0 and 1, check state in bits 2 and 3.
    states: AtomicU8,
    ejected_until_ms: AtomicU64,
    ramp_from_ms: AtomicU64,
    slow_start_ms: AtomicU64,
}

impl Gate {
    pub(crate) fn new(view: &View) -> Self {
        let gate = Self {
            states: AtomicU8::new(0),
            ejected_until_ms: AtomicU64::new(0),
            ramp_from_ms: AtomicU64::new(NEVER),
            slow_start_ms: AtomicU64::new(0),
        };
        gate.set(view);
        gate
    }

    pub(crate) fn set(&self, view: &View) {
        let admin = match view.admin {
            AdminState::Enabled => 0,
            AdminState::Draining => 1,
            AdminState::Disabled => 2,
        };
        let check = match view.check {
            CheckState::Unknown => 0,
            CheckState::Up => 1,
            CheckState::Down => 2,
        };
        self.states.store(admin | check << 2, Ordering::Relaxed);
        self.ejected_until_ms
            .store(view.ejected_until_ms.unwrap_or(0), Ordering::Relaxed);
        self.ramp_from_ms
            .store(view.ramp_from_ms.unwrap_or(NEVER), Ordering::Relaxed);
        self.slow_start_ms
            .store(view.slow_start_ms, Ordering::Relaxed);
    }

    pub(crate) fn view(&self) -> View {
        let states = self.states.load(Ordering::Relaxed);
        let until_ms = self.ejected_until_ms.load(Ordering::Relaxed);
        let ramp_from_ms = self.ramp_from_ms.load(Ordering::Relaxed);
        View {
            admin: match states & 3 {
                0 => AdminState::Enabled,
                1 => AdminState::Draining,
                _ => AdminState::Disabled,
            },
            check: match states >> 2 {
                0 => CheckState::Unknown,
                1 => CheckState::Up,
                _ => CheckState::Down,
            },
            ejected_until_ms: (until_ms != 0).then_some(until_ms),
            ramp_from_ms: (ramp_from_ms != NEVER).then_some(ramp_from_ms),
            slow_start_ms: self.slow_start_ms.load(Ordering::Relaxed),
        }
    }
}
