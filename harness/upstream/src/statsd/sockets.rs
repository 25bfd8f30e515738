//! The sockets of a sink: datagrams and connections on one port, management on another.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use eventloop::{datagram, net};
use service::addr::{self, HostPort};

/// How often another port is tried when any will do and the one that was free for
/// connections is not for datagrams.
const PORT_ATTEMPTS: usize = 16;

/// Open sockets.
#[derive(Debug)]
pub struct Sockets {
    /// Takes datagrams.
    pub datagrams: OwnedFd,
    /// Takes connections, on the same address.
    pub lines: OwnedFd,
    /// Takes connections for management.
    pub management: OwnedFd,
    /// Where the first two are.
    pub at: SocketAddr,
    /// Where management is.
    pub management_at: SocketAddr,
    /// Room for datagrams that wait, as the kernel counts it.
    pub receive_buffer_bytes: usize,
}

impl Sockets {
    /// Opens them, with so much room for datagrams that wait: beyond what the system
    /// allows everybody if we may.
    ///
    /// # Errors
    /// Names the address and what the system said.
    pub fn open(listen: &HostPort, management: &HostPort, room: usize) -> io::Result<Self> {
        let (lines, at, datagrams) = pair(listen)?;
        let (management, management_at) = addr::listen(management)?;
        let receive_buffer_bytes = datagram::set_receive_buffer(&datagrams, room)?;
        Ok(Self {
            datagrams,
            lines,
            management,
            at,
            management_at,
            receive_buffer_bytes,
        })
    }
}

/// Both sockets of the port for lines.
fn pair(listen: &HostPort) -> io::Result<(OwnedFd, SocketAddr, OwnedFd)> {
    for attempt in 1.. {
        let (lines, at) = addr::listen(listen)?;
        match datagram::bind(at, false) {
            Ok(datagrams) => return Ok((lines, at, datagrams)),
            Err(error) => {
                let is_taken = error.kind() == ErrorKind::AddrInUse;
                if listen.port() != 0 || !is_taken || attempt == PORT_ATTEMPTS {
                    let text = format!("cannot receive datagrams on {at}: {error}");
                    return Err(io::Error::new(error.kind(), text));
                }
            }
        }
    }
    unreachable!("the last attempt returns")
}

/// Lets no datagram in any more: for all senders nobody listens on the port, which stays
/// ours. What is waiting can still be read.
///
/// A socket that is connected takes datagrams from its peer only, and here the peer is
/// the socket itself. Closing it would lose what is waiting, and the count of drops.
pub(super) fn shut(datagrams: &OwnedFd) -> io::Result<()> {
    let at = net::local_addr(datagrams.as_fd())?;
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    rustix::net::connect(datagrams, &SocketAddr::new(ip, at.port()))?;
    Ok(())
}

/// Lets datagrams in again.
pub(super) fn reopen(datagrams: &OwnedFd) -> io::Result<()> {
    Ok(rustix::net::connect_unspec(datagrams)?)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use eventloop::datagram::Receiver;

    use super::*;

    #[test]
    fn a_shut_socket_is_closed_to_all_and_opens_where_it_was() {
        for host in ["127.0.0.1:0", "0.0.0.0:0", ":0"] {
            let host = host.parse().unwrap();
            let sockets = Sockets::open(&host, &"127.0.0.1:0".parse().unwrap(), 65_536).unwrap();
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, sockets.at.port()));
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect(to).unwrap();
            let mut receiver = Receiver::new(8, 100);
            let mut received = || receiver.receive(&sockets.datagrams).unwrap();
            client.send(b"one").unwrap();
            shut(&sockets.datagrams).unwrap();
            client.send(b"two").unwrap();
            let refused = client.send(b"three").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            assert_eq!(received(), 1, "what was waiting is not lost");
            reopen(&sockets.datagrams).unwrap();
            let at = net::local_addr(sockets.datagrams.as_fd()).unwrap();
            assert_eq!(at, sockets.at);
            client.send(b"four").unwrap();
            assert_eq!(received(), 1);
        }
    }
}
