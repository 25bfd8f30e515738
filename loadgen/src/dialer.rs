//! Opening connections to the target.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt;

use crate::tally::ConnectFailure;
use crate::transport::Transport;

/// Loopback addresses that connections come from when they are many: each has some
/// 28,000 ports, and a closed connection keeps its port for a minute.
const SOURCES: u32 = 250;

/// Source addresses between where one worker begins and where the next does.
const APART: usize = 61;

/// Opens connections to the first candidate address that works.
#[derive(Debug)]
pub(crate) struct Dialer {
    targets: Vec<SocketAddr>,
    target: usize,
    /// Addresses to connect from, in turn; none for the system's choice.
    sources: Vec<Ipv4Addr>,
    source: usize,
}

/// The first `number` loopback addresses to connect from.
#[must_use]
pub(crate) fn loopback_sources(number: u32) -> Vec<Ipv4Addr> {
    (0..number)
        .map(|at| Ipv4Addr::from(0x7f00_0002 + at))
        .collect()
}

impl Dialer {
    /// A dialer of worker `worker` to `targets`. Connections come from the sources that
    /// `transport` names; if it names none and there are to be many, as `spread` says,
    /// those to an IPv4 loopback address come from many loopback addresses.
    #[must_use]
    pub(crate) fn new(
        targets: Vec<SocketAddr>,
        transport: &Transport,
        spread: bool,
        worker: usize,
    ) -> Self {
        let on_loopback = |target: &SocketAddr| target.is_ipv6() || target.ip().is_loopback();
        let sources = if !transport.sources.is_empty() {
            transport.sources.clone()
        } else if spread && targets.iter().all(on_loopback) {
            loopback_sources(SOURCES)
        } else {
            vec![]
        };
        Self {
            targets,
            target: 0,
            sources,
            source: worker * APART,
        }
    }

    /// Where connections go to at present.
    #[must_use]
    pub(crate) fn target(&self) -> SocketAddr {
        self.targets[self.target]
    }

    /// Starts a connection.
    ///
    /// # Errors
    /// What the system said at once.
    pub(crate) fn dial(&mut self) -> io::Result<OwnedFd> {
        let target = self.target();
        if self.sources.is_empty() || target.is_ipv6() {
            return eventloop::net::start_connect(target);
        }
        self.source = (self.source + 1) % self.sources.len();
        dial_from(self.sources[self.source], target)
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

/// What goes over a connection before anything else.
///
/// # Errors
/// That the connection's own address is not known.
pub(crate) fn first_bytes(
    transport: &Transport,
    fd: &OwnedFd,
    target: SocketAddr,
) -> io::Result<Vec<u8>> {
    let Some(header) = transport.proxy_header else {
        return Ok(vec![]);
    };
    let source = match header.source {
        Some(source) => source,
        None => eventloop::net::local_addr(fd.as_fd())?,
    };
    Ok(header.version.encode(source, target))
}

/// What an error of opening a connection counts as.
#[must_use]
pub(crate) fn failure_of(error: &io::Error) -> ConnectFailure {
    if error.kind() == io::ErrorKind::InvalidData {
        return ConnectFailure::Tls;
    }
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
