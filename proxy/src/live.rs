//! Settings that are replaced as a whole while workers read them.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The settings in force.
#[derive(Debug)]
pub(crate) struct Live<T> {
    settings: Mutex<Arc<T>>,
    generation: AtomicU64,
}

impl<T> Live<T> {
    /// Starts with `settings`.
    pub(crate) fn new(settings: T) -> Self {
        Self {
            settings: Mutex::new(Arc::new(settings)),
            generation: AtomicU64::new(1),
        }
    }

    /// Replaces them.
    pub(crate) fn set(&self, settings: T) {
        let mut current = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(settings);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The settings in force.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The settings as one worker knows them. Looking for new ones costs one load while they do
/// not change.
#[derive(Debug)]
pub(crate) struct Reader<T> {
    live: Arc<Live<T>>,
    generation: u64,
    settings: Arc<T>,
}

impl<T> Reader<T> {
    /// Begins with the settings in force.
    pub(crate) fn new(live: Arc<Live<T>>) -> Self {
        Self {
            generation: live.generation.load(Ordering::Acquire),
            settings: live.get(),
            live,
        }
    }

    /// Takes up settings that were replaced. Says whether there were any.
    pub(crate) fn refresh(&mut self) -> bool {
        let generation = self.live.generation.load(Ordering::Acquire);
        let changed = generation != self.generation;
        if changed {
            self.generation = generation;
            self.settings = self.live.get();
        }
        changed
    }

    /// Whether these are the settings that it knows.
    pub(crate) fn is_at(&self, settings: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.settings, settings)
    }

    /// The settings, to keep.
    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(&self.settings)
    }
}

impl<T> Deref for Reader<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.settings
    }
}
