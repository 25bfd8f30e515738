//! Opening non-blocking TCP sockets: listen, accept, connect, abort.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, ipproto, sockopt};

/// Connections that the kernel may hold for us before we accept them. The kernel
/// caps it at `net.core.somaxconn` (4,096 by default); a proxy that is restarted
/// under load needs all of that.
pub const BACKLOG: i32 = 4096;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// Opens a non-blocking listening socket on `addr`.
///
/// `SO_REUSEADDR` lets a restart take over a port in TIME_WAIT. `SO_REUSEPORT` is
/// never set: with it, a second process could bind the same port and take half of
/// the connections by accident. An IPv6 wildcard takes IPv4 as well. Accepted
/// sockets inherit `TCP_NODELAY`, which saves a system call per connection.
///
/// # Errors
/// What `socket`, `bind` or `listen` said, without the address: the caller names it.
pub fn listen(addr: SocketAddr) -> io::Result<OwnedFd> {
    let fd = open(addr)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, !addr.ip().is_unspecified())?;
    }
    rustix::net::bind(&fd, &addr)?;
    rustix::net::listen(&fd, BACKLOG)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    Ok(fd)
}

/// Takes one waiting connection, or `None` when there is none.
///
/// # Errors
/// What `accept4` said, except for "nothing there" and connections that were gone
/// before they were accepted.
pub fn accept(listener: impl AsFd) -> io::Result<Option<OwnedFd>> {
    loop {
        match rustix::net::accept_with(listener.as_fd(), FLAGS) {
            Ok(fd) => return Ok(Some(fd)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens a socket for a connection to `addr`, not yet connecting, with `TCP_NODELAY`.
///
/// # Errors
/// What `socket` said: most often that descriptors ran out.
pub fn open(addr: SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let fd = rustix::net::socket_with(family, SocketType::STREAM, FLAGS, Some(ipproto::TCP))?;
    Ok(fd)
}

/// Starts a connection to `addr`. The socket turns writable when it is settled;
/// [`connect_result`] then tells how.
///
/// # Errors
/// What `socket` or `connect` said at once.
pub fn start_connect(addr: SocketAddr) -> io::Result<OwnedFd> {
    let fd = open(addr)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    match rustix::net::connect(&fd, &addr) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(fd),
        Err(error) => Err(error.into()),
    }
}

/// How a connection that [`start_connect`] began has ended.
///
/// # Errors
/// Why the connection failed.
pub fn connect_result(fd: impl AsFd) -> io::Result<()> {
    sockopt::socket_error(fd)?.map_err(io::Error::from)
}

/// Makes the next close of `fd` a reset instead of an orderly end.
///
/// # Errors
/// What `setsockopt` said.
pub fn reset_on_close(fd: impl AsFd) -> io::Result<()> {
    Ok(sockopt::set_socket_linger(fd, Some(Duration::ZERO))?)
}

/// Binds a socket to a local address, before it is connected. The port is chosen only when
/// it connects (`IP_BIND_ADDRESS_NO_PORT`): a port is free as long as no other connection
/// has it to the same destination.
///
/// # Errors
/// That the address is not one of this machine's.
#[expect(unsafe_code, reason = "no safe binding has this socket option")]
pub fn bind_source(fd: impl AsFd, source: std::net::IpAddr) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    // SAFETY: the value is an int that lives until the call returns.
    let outcome = unsafe {
        libc::setsockopt(
            std::os::fd::AsRawFd::as_raw_fd(&fd.as_fd()),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if outcome != 0 {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL));
    }
    rustix::net::bind(fd, &SocketAddr::new(source, 0))
}

/// The address that a socket is bound to.
///
/// # Errors
/// What `getsockname` said, or that the socket is not an internet socket.
pub fn local_addr(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    internet(rustix::net::getsockname(fd)?)
}

fn internet(addr: SocketAddrAny) -> io::Result<SocketAddr> {
    SocketAddr::try_from(addr).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_refused_even_with_reuse_port_on_the_other_side() {
        let addr = "127.0.0.1:0".parse().unwrap();
        let other = open(addr).unwrap();
        sockopt::set_socket_reuseport(&other, true).unwrap();
        sockopt::set_socket_reuseaddr(&other, true).unwrap();
        rustix::net::bind(&other, &addr).unwrap();
        rustix::net::listen(&other, 1).unwrap();
        let taken = local_addr(other.as_fd()).unwrap();
        let error = listen(taken).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
