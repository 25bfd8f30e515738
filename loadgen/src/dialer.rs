//! Opening connections to the target.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt;

use crate::tally::ConnectFailure;

/// Loopback addresses that connections come from when they are many: each has some
/// 28,000 ports, and a closed connection keeps its port for a minute.
const SOURCES: u32 = 250;

/// Opens connections to the first candidate address that works.
#[derive(Debug)]
pub(crate) struct Dialer {
    targets: Vec<SocketAddr>,
    target: usize,
    /// The next source address, if connections are spread over several.
    source: Option<u32>,
}

impl Dialer {
    /// A dialer to `targets`. With `spread`, connections to an IPv4 loopback address
    /// come from many loopback addresses, beginning with number `first`.
    #[must_use]
    pub(crate) fn new(targets: Vec<SocketAddr>, spread: bool, first: u32) -> Self {
        Self {
            targets,
            target: 0,
            source: spread.then_some(first),
        }
    }

    /// Starts a connection.
    ///
    /// # Errors
    /// What the system said at once.
    pub(crate) fn dial(&mut self) -> io::Result<OwnedFd> {
        let target = self.targets[self.target];
        match (&mut self.source, target) {
            (Some(source), SocketAddr::V4(v4)) if v4.ip().is_loopback() => {
                *source = (*source + 1) % SOURCES;
                dial_from(Ipv4Addr::from(0x7f00_0002 + *source), target)
            }
            _ => eventloop::net::start_connect(target),
        }
    }

    /// Notes that the last connection failed: the next goes to the next candidate.
    pub(crate) fn failed(&mut self) {
        self.target = (self.target + 1) % self.targets.len();
    }
}

fn dial_from(source: Ipv4Addr, target: SocketAddr) -> io::Result<OwnedFd> {
    let fd = eventloop::net::open(target)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    port_at_connect(&fd)?;
    rustix::net::bind(&fd, &SocketAddrV4::new(source, 0))?;
    match rustix::net::connect(&fd, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(fd),
        Err(error) => Err(error.into()),
    }
}

/// Has the kernel choose the port when it knows the target, so that a port may serve
/// several targets; without it, each connection searches for one that is free to all.
#[expect(unsafe_code, reason = "rustix does not know IP_BIND_ADDRESS_NO_PORT")]
fn port_at_connect(fd: &OwnedFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).expect("four fit");
    // SAFETY: the descriptor is open, and the value lives and has the length given.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            length,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// What an error of opening a connection counts as.
#[must_use]
pub(crate) fn failure_of(error: &io::Error) -> ConnectFailure {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::CONNREFUSED) => ConnectFailure::Refused,
        Some(Errno::TIMEDOUT) => ConnectFailure::Timeout,
        Some(Errno::CONNRESET | Errno::PIPE) => ConnectFailure::Reset,
        Some(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE) => ConnectFailure::NoPort,
        Some(Errno::MFILE | Errno::NFILE) => ConnectFailure::NoDescriptor,
        Some(Errno::NETUNREACH | Errno::HOSTUNREACH) => ConnectFailure::Unreachable,
        _ => ConnectFailure::Other,
    }
}
