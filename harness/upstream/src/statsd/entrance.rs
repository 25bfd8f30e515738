//! A port for connections: watched, not watched, or closed.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use eventloop::{Interest, Poller};

use crate::defect::Defects;
use crate::door::{Accepted, Door};

/// A listener in the worker's poller.
#[derive(Debug)]
pub(super) struct Entrance {
    door: Door,
    token: u64,
    /// None while the port is closed.
    listener: Option<Arc<OwnedFd>>,
    is_watched: bool,
}

impl Entrance {
    pub(super) fn new(listener: OwnedFd, token: u64, poller: &Poller) -> io::Result<Self> {
        let mut entrance = Self {
            // When it is open is decided by the worker, for all ports at once.
            door: Door::new(listener, &Defects::default())?,
            token,
            listener: None,
            is_watched: false,
        };
        entrance.open(poller)?;
        Ok(entrance)
    }

    /// Opens the port, if it is closed, and watches it.
    pub(super) fn open(&mut self, poller: &Poller) -> io::Result<()> {
        let listener = self.door.open()?;
        if !std::mem::replace(&mut self.is_watched, true) {
            poller.add(&*listener, self.token, Interest::Read)?;
        }
        self.listener = Some(listener);
        Ok(())
    }

    /// Leaves connections waiting.
    pub(super) fn pause(&mut self, poller: &Poller) -> io::Result<()> {
        if let Some(listener) = &self.listener
            && std::mem::take(&mut self.is_watched)
        {
            poller.remove(&**listener)?;
        }
        Ok(())
    }

    /// Closes the port.
    pub(super) fn close(&mut self, poller: &Poller) -> io::Result<()> {
        self.pause(poller)?;
        self.listener = None;
        self.door.close();
        Ok(())
    }

    /// Takes a connection, if one is waiting.
    pub(super) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        let Some(listener) = &self.listener else {
            return Ok(None);
        };
        match self.door.accept(listener, false)? {
            Accepted::Connection(fd) => Ok(Some(fd)),
            Accepted::None | Accepted::Never { .. } => Ok(None),
        }
    }
}
