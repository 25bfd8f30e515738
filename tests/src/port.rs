//! Ports on which nobody listens.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

/// A port that nobody else is given: connections to it are refused. A program that is told
/// to listen on it may.
#[derive(Debug)]
pub struct ReservedPort {
    addr: String,
    _socket: OwnedFd,
}

impl ReservedPort {
    /// Takes a free port of the loopback interface.
    #[must_use]
    pub fn take() -> Self {
        let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).expect("a socket");
        // With this on both sides, Linux lets another bind the port while none listens.
        sockopt::set_socket_reuseaddr(&socket, true).expect("a socket");
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = getsockname(&socket).expect("bound");
        let addr = SocketAddrV4::try_from(addr).expect("an address as it was bound");
        Self {
            addr: addr.to_string(),
            _socket: socket,
        }
    }

    /// The address.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addr
    }
}
