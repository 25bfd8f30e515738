//! How a worker is told things: orders from the control plane, connections from other
//! workers. A letter costs a lock and a wake-up, so only what happens rarely goes by mail.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use eventloop::Waker;

use super::control::Backlog;

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Letter {
    /// Serve this client.
    Client(OwnedFd),
    /// Accept no more, end when the last connection has.
    Drain(Backlog),
    /// End now.
    Stop,
}

/// A worker's letters.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// `None` once the worker has ended.
    letters: Mutex<Option<Vec<Letter>>>,
    waker: Waker,
}

impl Mailbox {
    pub(super) fn open() -> io::Result<Self> {
        let letters = Mutex::new(Some(Vec::new()));
        Ok(Self {
            letters,
            waker: Waker::new()?,
        })
    }

    /// Delivers a letter and wakes the worker; a worker that has ended sends it back.
    pub(super) fn send(&self, letter: Letter) -> Result<(), Letter> {
        match self.lock().as_mut() {
            Some(letters) => letters.push(letter),
            None => return Err(letter),
        }
        self.waker.wake();
        Ok(())
    }

    /// Takes every letter.
    pub(super) fn take(&self) -> Vec<Letter> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes no more letters, if none is left. Says whether that is so.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut letters = self.lock();
        if letters.as_ref().is_none_or(Vec::is_empty) {
            *letters = None;
        }
        letters.is_none()
    }

    /// The descriptor that becomes readable when there is mail.
    pub(super) fn waker(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Letter>>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
