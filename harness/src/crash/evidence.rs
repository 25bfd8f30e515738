//! Findings on disk: each cause once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bundle::verdict::Seen;
use bundle::{Bundle, Key, Session, store};

use super::life::SharedGuard;
use super::trial::Trial;

/// Tries at the same time.
#[must_use]
pub fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// What became of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is in this bundle.
    Written(PathBuf),
    /// It was found before; this bundle has it.
    Known(PathBuf),
    /// It could not be written, for this reason; it is true all the same.
    Lost(String),
}

/// A finding, for a report.
#[derive(Clone, Debug)]
pub struct Reported {
    /// All that is known of it.
    pub bundle: Bundle,
    /// Where it is kept.
    pub kept: Kept,
    /// How often it was found.
    pub times: u32,
    /// Why it was not tried again, if it was to be.
    pub not_repeated: Option<String>,
}

impl Reported {
    /// The finding in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Bundle {
            verdict, origin, ..
        } = &self.bundle;
        verdict.finding.sentence(origin.transport)
    }
}

/// All findings of a run.
#[derive(Debug)]
pub struct Evidence {
    directory: PathBuf,
    reported: Vec<Reported>,
    by_key: HashMap<Key, usize>,
}

impl Evidence {
    /// Bundles go into this directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            reported: Vec::new(),
            by_key: HashMap::new(),
        }
    }

    /// Takes a finding in; where it is among the others, and whether it is new to this run.
    pub fn take(&mut self, bundle: Bundle) -> (usize, bool) {
        if let Some(place) = self.by_key.get(&bundle.verdict.key) {
            self.reported[*place].times += 1;
            return (*place, false);
        }
        let kept = match store::same(&self.directory, &bundle.verdict) {
            Some(known) => Kept::Known(known),
            None => match bundle.write(&self.directory) {
                Ok(place) => Kept::Written(place),
                Err(error) => Kept::Lost(error.to_string()),
            },
        };
        self.by_key
            .insert(bundle.verdict.key.clone(), self.reported.len());
        self.reported.push(Reported {
            bundle,
            kept,
            times: 1,
            not_repeated: None,
        });
        (self.reported.len() - 1, true)
    }

    /// Puts in how often a finding was seen again.
    pub fn repeated(&mut self, place: usize, seen: Result<Seen, String>) {
        let reported = &mut self.reported[place];
        match seen {
            Ok(seen) => reported.bundle.repeated(seen.failed, seen.tried),
            Err(reason) => {
                reported.not_repeated = Some(reason);
                return;
            }
        }
        if let Kept::Written(at) = &reported.kept
            && let Err(error) = reported.bundle.rewrite(at)
        {
            reported.kept = Kept::Lost(error.to_string());
        }
    }

    /// A finding.
    #[must_use]
    pub fn get(&self, place: usize) -> &Reported {
        &self.reported[place]
    }

    /// All findings.
    #[must_use]
    pub fn into_reported(self) -> Vec<Reported> {
        self.reported
    }

    /// How many causes were found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reported.len()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reported.is_empty()
    }
}

/// Sends a session so many times, each to a fresh target, several at once, and says how often
/// the same came of it. Blocks. `tell` hears of each try.
///
/// # Errors
/// That it could not be tried.
pub fn repeat(
    trial: &Trial,
    session: &Session,
    times: u32,
    tell: &(dyn Fn(bool) + Sync),
) -> Result<Seen, String> {
    let (next, failed) = (AtomicU32::new(0), AtomicU32::new(0));
    let problem = std::sync::Mutex::new(None::<String>);
    let has_problem = || problem.lock().is_ok_and(|problem| problem.is_some());
    std::thread::scope(|scope| {
        for _ in 0..jobs().min(times as usize) {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < times && !has_problem() {
                    match trial.once(session) {
                        Ok(fails) => {
                            failed.fetch_add(u32::from(fails), Ordering::Relaxed);
                            tell(fails);
                        }
                        Err(reason) => {
                            if let Ok(mut problem) = problem.lock() {
                                problem.get_or_insert(reason);
                            }
                        }
                    }
                }
            });
        }
    });
    match problem.into_inner().ok().flatten() {
        Some(reason) => Err(reason),
        None => Ok(Seen {
            failed: failed.into_inner(),
            tried: times,
        }),
    }
}

/// The same without blocking the one thread that waits for signals.
///
/// # Errors
/// That it could not be tried.
pub async fn repeated(bundle: &Bundle, guard: &SharedGuard, times: u32) -> Result<Seen, String> {
    let trial = Trial::of(bundle, &Arc::clone(guard))?;
    let session = bundle.smallest().clone();
    let trying = tokio::task::spawn_blocking(move || repeat(&trial, &session, times, &|_| {}));
    trying.await.map_err(|error| error.to_string())?
}
