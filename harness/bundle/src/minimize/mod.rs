//! Making a session as small as it can be while the target still fails of it in the same way.
//!
//! First connections (left out, or joined), then lines, then bytes, again and again until
//! nothing more can go:
//! the last ones alone, then delta debugging (Zeller and Hildebrandt, *Simplifying and
//! Isolating Failure-Inducing Input*, 2002). Before lines and bytes are taken out one by one,
//! what they hold is made alike: of a thousand equal lines it does not matter which one is
//! left out, and a candidate that was tried is not tried again, so that what would be a
//! thousand tries is one.
//!
//! `search` has the ways to look for something smaller, `reduce` what is looked for on each
//! level, `trial` asks the oracle: several times if the failure is flaky, several at once if
//! there is room, and never twice the same.

mod reduce;
mod search;
#[cfg(test)]
mod tests;
mod trial;

use std::sync::atomic::AtomicBool;

use crate::session::{Session, Size};

use self::trial::Trial;

/// Rounds at most: each but the last makes it smaller, and a few are always enough.
const MOST_ROUNDS: u32 = 50;

/// Says whether a session still makes a target fail in the same way.
pub trait Oracle: Sync {
    /// Sends the session to a fresh target, once. May be called by several threads at a time.
    ///
    /// # Errors
    /// That it could not be tried: the target did not start, or answered wrongly before
    /// anything was sent.
    fn fails(&self, session: &Session) -> Result<bool, String>;
}

impl<F: Fn(&Session) -> Result<bool, String> + Sync> Oracle for F {
    fn fails(&self, session: &Session) -> Result<bool, String> {
        self(session)
    }
}

/// How often a session is sent to be judged, for failures that do not come every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeats {
    /// So many failures are needed …
    pub needed: u32,
    /// … of so many tries at most.
    pub of: u32,
}

impl Repeats {
    /// Once is enough.
    pub const ONCE: Self = Self { needed: 1, of: 1 };

    /// More tries than this for each candidate would take for ever.
    const MOST: u32 = 30;

    /// Enough tries to miss a failure in 1 % of the cases at most, if k of n tries were seen
    /// to fail.
    #[must_use]
    pub fn for_rate(failed: u32, tried: u32) -> Self {
        if failed >= tried {
            return Self::ONCE;
        }
        // Rather too low than too high: of few tries not much is known.
        let rate = f64::from(failed.max(1)) / f64::from(tried + 1);
        let of = (0.01_f64.ln() / (1.0 - rate).ln()).ceil() as u32;
        Self {
            needed: 1,
            of: of.clamp(2, Self::MOST),
        }
    }
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// How each candidate is judged.
    pub repeats: Repeats,
    /// Tries at the same time.
    pub jobs: usize,
    /// Tries in all, at most; what was reached by then is the result.
    pub most_tries: u64,
    /// Ends it early when somebody sets this.
    pub stop: &'a AtomicBool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being taken out: `connections`, `lines` or `bytes`.
    pub level: &'static str,
    /// Sessions sent so far.
    pub tries: u64,
    /// What it was at first.
    pub from: Size,
    /// What it is now.
    pub size: Size,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimized {
    /// The smallest session that was seen to fail.
    pub session: Session,
    /// Sessions sent.
    pub tries: u64,
    /// Whether nothing can be taken out of it any more: no connection, no line, no byte. Not
    /// so if it was stopped, or the tries ran out.
    pub is_minimal: bool,
}

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MinimizeError {
    /// It does not fail to begin with.
    #[error("the session does not reproduce: {failed} of {tried} tries failed")]
    Survives {
        /// Tries that failed.
        failed: u32,
        /// All tries.
        tried: u32,
    },
    /// The oracle could not say.
    #[error("a try could not be made: {0}")]
    Unusable(String),
}

/// Makes a session as small as it can be.
///
/// # Errors
/// That it does not fail to begin with, or the oracle could not say.
pub fn minimize(
    session: &Session,
    oracle: &dyn Oracle,
    settings: &Settings<'_>,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<Minimized, MinimizeError> {
    let trial = Trial::new(oracle, settings, session.size(), progress);
    trial.confirm(session)?;
    let mut best = session.clone();
    let mut is_minimal = false;
    for _ in 0..MOST_ROUNDS {
        let before = best.digest();
        reduce::connections(&trial, &mut best);
        reduce::joined(&trial, &mut best);
        reduce::lines(&trial, &mut best);
        reduce::bytes(&trial, &mut best);
        reduce::endings(&trial, &mut best);
        if trial.is_over() {
            break;
        }
        if best.digest() == before {
            is_minimal = true;
            break;
        }
    }
    match trial.unusable() {
        Some(reason) => Err(MinimizeError::Unusable(reason)),
        None => Ok(Minimized {
            session: best,
            tries: trial.tries(),
            is_minimal,
        }),
    }
}
