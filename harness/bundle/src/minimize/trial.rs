//! Asking the oracle: as often as it takes, several at once, never twice the same.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{MinimizeError, Oracle, Progress, Settings};
use crate::session::{Session, Size};

/// Everything that is tried goes through this.
pub(super) struct Trial<'a> {
    oracle: &'a dyn Oracle,
    settings: &'a Settings<'a>,
    progress: &'a (dyn Fn(&Progress) + Sync),
    tries: AtomicU64,
    state: Mutex<State>,
}

struct State {
    /// What was tried, by digest, and whether it failed.
    known: HashMap<u128, bool>,
    unusable: Option<String>,
    progress: Progress,
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        oracle: &'a dyn Oracle,
        settings: &'a Settings<'a>,
        from: Size,
        progress: &'a (dyn Fn(&Progress) + Sync),
    ) -> Self {
        let first = Progress {
            level: "connections",
            tries: 0,
            from,
            size: from,
        };
        let state = State {
            known: HashMap::new(),
            unusable: None,
            progress: first,
        };
        Self {
            oracle,
            settings,
            progress,
            tries: AtomicU64::new(0),
            state: Mutex::new(state),
        }
    }

    /// Makes sure that the session fails to begin with.
    pub(super) fn confirm(&self, session: &Session) -> Result<(), MinimizeError> {
        let (failed, tried) = self.judge(session);
        if let Some(reason) = self.unusable() {
            return Err(MinimizeError::Unusable(reason));
        }
        if failed < self.settings.repeats.needed {
            return Err(MinimizeError::Survives { failed, tried });
        }
        self.state().known.insert(session.digest(), true);
        Ok(())
    }

    /// The first of so many candidates that fails. Which one that is does not depend on how
    /// many are tried at once.
    pub(super) fn first_failing(
        &self,
        count: usize,
        candidate: &(dyn Fn(usize) -> Session + Sync),
    ) -> Option<(usize, Session)> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new(None::<(usize, Session)>);
        let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            // All before this one have been begun, so that none of them is passed over.
            if index >= count || self.is_over() || lock().is_some() {
                return;
            }
            let session = candidate(index);
            if self.fails(&session) {
                let mut found = lock();
                if found.as_ref().is_none_or(|(first, _)| index < *first) {
                    *found = Some((index, session));
                }
            }
        };
        let jobs = self.settings.jobs.clamp(1, count.max(1));
        if jobs == 1 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 0..jobs {
                    scope.spawn(work);
                }
            });
        }
        found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this one fails.
    pub(super) fn fails(&self, session: &Session) -> bool {
        let digest = session.digest();
        if let Some(known) = self.state().known.get(&digest) {
            return *known;
        }
        if self.is_over() {
            return false;
        }
        let (failed, _) = self.judge(session);
        let fails = failed >= self.settings.repeats.needed;
        // What was not tried to the end is not known.
        if fails || !self.is_over() {
            self.state().known.insert(digest, fails);
        }
        fails
    }

    /// Something smaller is the best now, or another level has begun.
    pub(super) fn report(&self, level: &'static str, size: Size) {
        let mut state = self.state();
        state.progress = Progress {
            level,
            size,
            tries: self.tries(),
            ..state.progress
        };
        let progress = state.progress;
        drop(state);
        (self.progress)(&progress);
    }

    /// Whether nothing more is to be tried.
    pub(super) fn is_over(&self) -> bool {
        self.settings.stop.load(Ordering::Relaxed)
            || self.tries() >= self.settings.most_tries
            || self.state().unusable.is_some()
    }

    /// Why the oracle could not say.
    pub(super) fn unusable(&self) -> Option<String> {
        self.state().unusable.clone()
    }

    /// Sessions sent so far.
    pub(super) fn tries(&self) -> u64 {
        self.tries.load(Ordering::Relaxed)
    }

    /// How often it failed, of how many tries: no more than decide it.
    fn judge(&self, session: &Session) -> (u32, u32) {
        let repeats = self.settings.repeats;
        let (mut failed, mut tried) = (0, 0);
        while failed < repeats.needed && failed + (repeats.of - tried) >= repeats.needed {
            if tried >= repeats.of || self.is_over() {
                break;
            }
            self.tries.fetch_add(1, Ordering::Relaxed);
            tried += 1;
            match self.oracle.fails(session) {
                Ok(fails) => failed += u32::from(fails),
                Err(reason) => {
                    self.state().unusable.get_or_insert(reason);
                    return (0, tried);
                }
            }
            let mut progress = self.state().progress;
            progress.tries = self.tries();
            (self.progress)(&progress);
        }
        (failed, tried)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
