//! Noticing peers that are gone without a word.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;

use super::settings::Keepalive;

/// Sets keep-alive probes and `TCP_USER_TIMEOUT` on a socket. On a listener, the
/// connections that it accepts inherit both.
pub(super) fn apply(
    socket: BorrowedFd<'_>,
    keepalive: Option<Keepalive>,
    user_timeout: Option<Duration>,
) -> Result<(), Errno> {
    if let Some(keepalive) = keepalive {
        sockopt::set_socket_keepalive(socket, true)?;
        sockopt::set_tcp_keepidle(socket, keepalive.idle)?;
        sockopt::set_tcp_keepintvl(socket, keepalive.interval)?;
        sockopt::set_tcp_keepcnt(socket, keepalive.probes)?;
    }
    if let Some(timeout) = user_timeout {
        let ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(socket, ms)?;
    }
    Ok(())
}
