//! A socket that listens: inherited, or opened.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::Result;
use service::addr::HostPort;

/// A socket that listens, and where.
pub(super) struct Listening {
    pub(super) socket: OwnedFd,
    pub(super) at: SocketAddr,
}

impl Listening {
    /// Takes over what was passed on, or opens a socket at `at`.
    pub(super) fn open(inherited: Option<OwnedFd>, at: &HostPort) -> Result<Self> {
        let Some(socket) = inherited else {
            let (socket, at) = service::addr::listen(at)?;
            return Ok(Self { socket, at });
        };
        let bound = eventloop::net::local_addr(socket.as_fd())?;
        let wanted = at.listen_candidates().unwrap_or_default();
        if at.port() != 0 && !wanted.contains(&bound) {
            tracing::warn!("listening on {bound}, which was passed on, and not on {at}");
        }
        Ok(Self { socket, at: bound })
    }
}
