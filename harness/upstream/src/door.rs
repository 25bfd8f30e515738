//! The listening socket, and who may come in.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eventloop::net;
use rustix::net::sockopt;

use crate::defect::{Defects, Flap};

/// The listener that all workers accept from, closed and opened again if that is planted.
#[derive(Debug)]
pub(crate) struct Door {
    addr: SocketAddr,
    flap: Option<Flap>,
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    listener: Option<Arc<OwnedFd>>,
    /// Keeps the port while nobody listens on it: otherwise a connection of anybody could
    /// get it as its own.
    placeholder: Option<OwnedFd>,
    /// How many may still come in; `None` is no limit.
    places: Option<u64>,
}

/// What came of trying to accept.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A connection.
    Connection(OwnedFd),
    /// There is none waiting.
    None,
    /// Nothing is accepted any more, from this call on for the first time or not.
    Never {
        /// Whether this call is the first to say so.
        first: bool,
    },
}

impl Door {
    pub(crate) fn new(listener: OwnedFd, defects: &Defects) -> io::Result<Self> {
        Ok(Self {
            addr: net::local_addr(listener.as_fd())?,
            flap: defects.flap,
            started: Instant::now(),
            inner: Mutex::new(Inner {
                listener: Some(Arc::new(listener)),
                placeholder: None,
                places: defects.stop_accepting,
            }),
        })
    }

    /// Whether it is to be open now, and when that changes.
    pub(crate) fn phase(&self) -> (bool, Option<Instant>) {
        let Some(flap) = self.flap else {
            return (true, None);
        };
        let now = Instant::now();
        let (open, left) = flap.phase(now.saturating_duration_since(self.started));
        // Not a moment too early, or the worker would come again.
        (open, Some(now + left + Duration::from_micros(1)))
    }

    /// Closes it for everybody, and tells whether this call did.
    pub(crate) fn close(&self) -> bool {
        let mut inner = self.inner();
        let Some(listener) = inner.listener.take() else {
            return false;
        };
        // At once, whoever else still holds the socket.
        let _ = rustix::net::shutdown(&*listener, rustix::net::Shutdown::Both);
        drop(listener);
        if inner.placeholder.is_none() {
            inner.placeholder = hold(self.addr).ok();
        }
        true
    }

    /// The listener, opened again if it was closed.
    ///
    /// # Errors
    /// That it cannot be opened: the port is taken, or descriptors ran out.
    pub(crate) fn open(&self) -> io::Result<Arc<OwnedFd>> {
        let mut inner = self.inner();
        if let Some(listener) = &inner.listener {
            return Ok(Arc::clone(listener));
        }
        let listener = Arc::new(net::listen(self.addr)?);
        inner.listener = Some(Arc::clone(&listener));
        Ok(listener)
    }

    /// Accepts a connection if there is one and it may come in.
    pub(crate) fn accept(&self, listener: &OwnedFd, limited: bool) -> io::Result<Accepted> {
        let taken = |fd: Option<OwnedFd>| fd.map_or(Accepted::None, Accepted::Connection);
        if !limited {
            return net::accept(listener).map(taken);
        }
        // Held while accepting, so that no worker takes the place of another.
        let mut inner = self.inner();
        if inner.places == Some(0) {
            inner.places = None;
            return Ok(Accepted::Never { first: true });
        }
        let Some(places) = inner.places.as_mut() else {
            return Ok(Accepted::Never { first: false });
        };
        let accepted = net::accept(listener)?;
        *places -= u64::from(accepted.is_some());
        Ok(taken(accepted))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Binds a socket that shares the port with a listener to come.
fn hold(addr: SocketAddr) -> io::Result<OwnedFd> {
    let fd = net::open(addr)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, !addr.ip().is_unspecified())?;
    }
    rustix::net::bind(&fd, &addr)?;
    Ok(fd)
}
