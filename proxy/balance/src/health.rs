//! The health of a backend as a state machine: events and times in, a status and a journal
//! out. It runs under the lock of its backend, and knows no threads.

use crate::ejection::{Ejector, Trouble};
use crate::gate::View;
use crate::journal::Journal;
use crate::spec::{AdminState, HealthPolicy};
use crate::status::{CheckState, Status};

/// Everything that decides a backend's status, and what became of it.
#[derive(Debug)]
pub(crate) struct Health {
    policy: HealthPolicy,
    view: View,
    /// The status that the journal ends with.
    shown: Status,
    /// Check results in a row that speak against the present state.
    against: u32,
    ejector: Ejector,
    journal: Journal,
}

impl Health {
    pub(crate) fn new(policy: HealthPolicy) -> Self {
        Self {
            policy,
            view: View {
                admin: AdminState::Enabled,
                check: CheckState::Unknown,
                ejected_until_ms: None,
                ramp_from_ms: None,
                slow_start_ms: policy.slow_start_ms,
            },
            shown: Status::Unknown,
            against: 0,
            ejector: Ejector::default(),
            journal: Journal::default(),
        }
    }

    pub(crate) fn view(&self) -> View {
        self.view
    }

    pub(crate) fn policy(&self) -> HealthPolicy {
        self.policy
    }

    pub(crate) fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// Whether a success would change anything: the usual case needs no lock.
    pub(crate) fn minds(&self, trouble: Trouble) -> bool {
        self.ejector.minds(trouble)
    }

    /// When the next change comes by time alone.
    pub(crate) fn next_change_ms(&self) -> Option<u64> {
        self.view.ejected_until_ms.or_else(|| self.ramp_end_ms())
    }

    /// Writes down what has changed by time alone, each at its own time.
    pub(crate) fn advance(&mut self, now_ms: u64) {
        if let Some(until_ms) = self.view.ejected_until_ms.filter(|&at| at <= now_ms) {
            self.end_ejection(until_ms, "ejection over");
        }
        if let Some(end_ms) = self.next_change_ms().filter(|&at| at <= now_ms) {
            self.view.ramp_from_ms = None;
            self.settle(end_ms, "slow start over");
        }
    }

    pub(crate) fn check_passed(&mut self, now_ms: u64) {
        self.advance(now_ms);
        if self.view.admin == AdminState::Disabled {
            return;
        }
        let rise = self.policy.rise.max(1);
        match self.view.check {
            CheckState::Unknown => {
                self.set_check(CheckState::Up);
                self.settle(now_ms, "first check passed");
            }
            CheckState::Up => self.against = 0,
            CheckState::Down => {
                self.against += 1;
                if self.against >= rise {
                    let why = format!("{rise} checks in a row passed");
                    self.set_check(CheckState::Up);
                    if self.view.ejected_until_ms.is_none() {
                        self.begin_ramp(now_ms);
                    }
                    self.settle(now_ms, &why);
                }
            }
        }
        if self.ejector.check_passed(rise) {
            self.end_ejection(now_ms, "ejection ended by passed checks");
        }
    }

    pub(crate) fn check_failed(&mut self, now_ms: u64, why: &str) {
        self.advance(now_ms);
        if self.view.admin == AdminState::Disabled {
            return;
        }
        self.ejector.check_failed();
        let fall = self.policy.fall.max(1);
        match self.view.check {
            CheckState::Unknown => {
                self.set_check(CheckState::Down);
                self.settle(now_ms, &format!("first check failed: {why}"));
            }
            CheckState::Down => self.against = 0,
            CheckState::Up => {
                self.against += 1;
                if self.against >= fall {
                    self.set_check(CheckState::Down);
                    self.settle(now_ms, &format!("{fall} checks in a row failed: {why}"));
                }
            }
        }
    }

    /// Forgets what checks have said.
    pub(crate) fn checks_stopped(&mut self, now_ms: u64) {
        self.advance(now_ms);
        self.set_check(CheckState::Unknown);
        self.settle(now_ms, "no longer checked");
    }

    /// A connection failed; `true` when that ejected the backend.
    pub(crate) fn failed(&mut self, trouble: Trouble, now_ms: u64, why: &str) -> bool {
        self.advance(now_ms);
        // Known to be down: it is only dialled because everything is.
        if self.view.check == CheckState::Down {
            return false;
        }
        let Some((lasts_ms, in_a_row)) = self.ejector.failed(trouble, now_ms, &self.policy) else {
            return false;
        };
        let until_ms = now_ms.saturating_add(lasts_ms);
        self.view.ejected_until_ms = Some(until_ms);
        // Known beforehand, so that picking is right even when nobody ticks.
        self.begin_ramp(until_ms);
        let what = match trouble {
            Trouble::Dial => "failed dials",
            Trouble::Reset => "resets before the first byte",
        };
        let why = if in_a_row < self.policy.eject_after {
            format!("{what}: {why}, on probation")
        } else {
            format!("{what}: {why}, {in_a_row} in a row")
        };
        self.settle(now_ms, &why);
        true
    }

    pub(crate) fn succeeded(&mut self, trouble: Trouble, now_ms: u64) {
        self.advance(now_ms);
        self.ejector.succeeded(trouble);
    }

    pub(crate) fn set_admin(&mut self, admin: AdminState, now_ms: u64) {
        self.advance(now_ms);
        if admin == self.view.admin {
            return;
        }
        if self.view.admin == AdminState::Disabled {
            // Nobody has looked at it meanwhile: what was known is out of date.
            self.ejector.forget();
            self.view.ejected_until_ms = None;
            self.set_check(CheckState::Unknown);
            self.begin_ramp(now_ms);
        }
        self.view.admin = admin;
        self.settle(
            now_ms,
            match admin {
                AdminState::Enabled => "enabled by the operator",
                AdminState::Draining => "drained by the operator",
                AdminState::Disabled => "disabled by the operator",
            },
        );
    }

    pub(crate) fn set_policy(&mut self, policy: HealthPolicy, now_ms: u64) {
        self.advance(now_ms);
        self.policy = policy;
        self.view.slow_start_ms = policy.slow_start_ms;
        self.advance(now_ms);
    }

    fn set_check(&mut self, check: CheckState) {
        self.view.check = check;
        self.against = 0;
    }

    fn begin_ramp(&mut self, from_ms: u64) {
        self.view.ramp_from_ms = (self.policy.slow_start_ms > 0).then_some(from_ms);
    }

    fn ramp_end_ms(&self) -> Option<u64> {
        let from_ms = self.view.ramp_from_ms?;
        Some(from_ms.saturating_add(self.view.slow_start_ms))
    }

    fn end_ejection(&mut self, at_ms: u64, why: &str) {
        self.ejector.release(at_ms);
        self.view.ejected_until_ms = None;
        self.begin_ramp(at_ms);
        self.settle(at_ms, why);
    }

    /// Writes the present status down if it is another than before.
    fn settle(&mut self, at_ms: u64, why: &str) {
        let status = self.view.status(at_ms);
        if status != self.shown {
            self.journal.write(at_ms, self.shown, status, why);
            self.shown = status;
        }
    }
}
