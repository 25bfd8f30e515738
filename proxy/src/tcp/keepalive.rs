//! Noticing peers that are gone without a word.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;

use super::settings::Keepalive;

/// Sets keep-alive probes and `TCP_USER_TIMEOUT` on a socket that has neither yet.
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

/// The same on a listener, which may have been set otherwise before or have been passed on
/// so: what is not asked for is taken off. The connections that it accepts inherit both.
pub(super) fn replace(
    listener: BorrowedFd<'_>,
    keepalive: Option<Keepalive>,
    user_timeout: Option<Duration>,
) -> Result<(), Errno> {
    if keepalive.is_none() {
        sockopt::set_socket_keepalive(listener, false)?;
    }
    if user_timeout.is_none() {
        sockopt::set_tcp_user_timeout(listener, 0)?;
    }
    apply(listener, keepalive, user_timeout)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_no_longer_asked_for_is_taken_off() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = listener.as_fd();
        let second = Duration::from_secs(1);
        let keepalive = Keepalive {
            idle: second,
            interval: second,
            probes: 2,
        };
        replace(socket, Some(keepalive), Some(second)).unwrap();
        let set = || {
            let keepalive = sockopt::socket_keepalive(socket).unwrap();
            (keepalive, sockopt::tcp_user_timeout(socket).unwrap())
        };
        assert_eq!(set(), (true, 1_000));
        replace(socket, None, None).unwrap();
        assert_eq!(set(), (false, 0));
    }
}
