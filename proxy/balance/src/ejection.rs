//! Passive health: a backend that fails its connections is left alone for a while.
//!
//! As Envoy's outlier detection for consecutive failures: each ejection in a row lasts
//! longer, here twice as long, and the back-off is forgotten step by step while the backend
//! behaves. When an ejection is over, the backend is on probation: the next failure ejects
//! it again at once, a success ends the probation.

use crate::spec::HealthPolicy;

/// What went wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The dial failed or timed out.
    Dial,
    /// The backend took the connection and reset it before its first byte. A dial that
    /// succeeds says nothing against it, so it is counted apart.
    Reset,
}

/// The consecutive failures and the back-off of one backend.
#[derive(Debug, Default)]
pub(crate) struct Ejector {
    failed_dials: u32,
    resets: u32,
    /// What the running ejection is for.
    running: Option<Trouble>,
    probation: Option<Trouble>,
    /// Checks that passed in a row since the ejection began.
    checks_passed: u32,
    /// How long the next ejection lasts; `None` for the base.
    next_ms: Option<u64>,
    /// Since when nothing has failed, as far as the back-off has not been eased for it.
    calm_since_ms: u64,
}

impl Ejector {
    /// Takes note of a failure. When it ejects, says for how long and after how many
    /// failures in a row; failures during an ejection are of connections that were
    /// begun before it, and change nothing.
    pub(crate) fn failed(
        &mut self,
        trouble: Trouble,
        now_ms: u64,
        policy: &HealthPolicy,
    ) -> Option<(u64, u32)> {
        if policy.eject_after == 0 || self.running.is_some() {
            return None;
        }
        self.ease(now_ms, policy);
        self.calm_since_ms = now_ms;
        let in_a_row = match trouble {
            Trouble::Dial => &mut self.failed_dials,
            Trouble::Reset => &mut self.resets,
        };
        *in_a_row += 1;
        let in_a_row = *in_a_row;
        if in_a_row < policy.eject_after && self.probation.is_none() {
            return None;
        }
        let base_ms = policy.eject_base_ms.max(1);
        let max_ms = policy.eject_max_ms.max(base_ms);
        let lasts_ms = self.next_ms.unwrap_or(base_ms).clamp(base_ms, max_ms);
        *self = Self {
            running: Some(trouble),
            next_ms: Some(lasts_ms.saturating_mul(2).min(max_ms)),
            ..Self::default()
        };
        Some((lasts_ms, in_a_row))
    }

    /// Takes note of what shows that there is no such trouble any more.
    pub(crate) fn succeeded(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Dial => self.failed_dials = 0,
            Trouble::Reset => self.resets = 0,
        }
        if self.probation == Some(trouble) {
            self.probation = None;
        }
    }

    /// Whether a success of that kind changes anything, or would once the running ejection
    /// is over, which may not have been written down by then.
    pub(crate) fn minds(&self, trouble: Trouble) -> bool {
        let in_a_row = match trouble {
            Trouble::Dial => self.failed_dials,
            Trouble::Reset => self.resets,
        };
        in_a_row > 0 || self.probation.or(self.running) == Some(trouble)
    }

    /// Takes note of an active check that passed; `true` when enough did to end the running
    /// ejection early. They only speak against failed dials: a backend that takes each
    /// connection and resets it passes them as well.
    pub(crate) fn check_passed(&mut self, rise: u32) -> bool {
        self.checks_passed = self.checks_passed.saturating_add(1);
        self.running == Some(Trouble::Dial) && self.checks_passed >= rise
    }

    /// Takes note of an active check that failed.
    pub(crate) fn check_failed(&mut self) {
        self.checks_passed = 0;
    }

    /// Ends the running ejection: on probation from here.
    pub(crate) fn release(&mut self, at_ms: u64) {
        self.probation = self.running.take();
        self.calm_since_ms = at_ms;
    }

    /// Forgets everything, as when the operator says that the backend is well.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Halves the back-off for each time of half its length without a failure: about as long
    /// as the last ejection lasted.
    fn ease(&mut self, now_ms: u64, policy: &HealthPolicy) {
        while let Some(next_ms) = self.next_ms {
            let half_ms = (next_ms / 2).max(1);
            if now_ms.saturating_sub(self.calm_since_ms) < half_ms {
                return;
            }
            self.calm_since_ms += half_ms;
            self.next_ms = (half_ms > policy.eject_base_ms).then_some(half_ms);
        }
    }
}
