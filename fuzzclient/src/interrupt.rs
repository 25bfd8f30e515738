//! Ending a run from another thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventloop::Waker;

/// Ends a run from another thread.
#[derive(Debug)]
pub struct Interrupt {
    asked: AtomicBool,
    waker: Arc<Waker>,
}

impl Interrupt {
    /// One that nobody has used.
    ///
    /// # Errors
    /// That there is no descriptor to be had.
    pub(crate) fn new() -> io::Result<Self> {
        let waker = Arc::new(Waker::new()?);
        Ok(Self {
            asked: AtomicBool::new(false),
            waker,
        })
    }

    /// Ends the run now.
    pub fn now(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// What wakes the run's loop.
    pub(crate) fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }
}
