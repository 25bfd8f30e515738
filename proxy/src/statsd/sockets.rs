//! The sockets that lines come in by.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use eventloop::datagram;
use rustix::io::Errno;
use rustix::net::sockopt;
use service::addr::HostPort;

/// Opens one socket for each thread on the same port; the kernel gives each of them some of
/// the senders.
///
/// The first one is bound alone, so that a port that any other program has is refused, and
/// a port that the kernel chooses is nobody's. Only then are the others let in beside it.
///
/// # Errors
/// Names the address and what the system said.
pub(super) fn udp(at: &HostPort, threads: usize, buffer: usize) -> Result<Vec<OwnedFd>> {
    let sockets = open(at, threads).with_context(|| format!("cannot listen on {at} (udp)"))?;
    for socket in &sockets {
        let got = datagram::set_receive_buffer(socket, buffer)
            .with_context(|| format!("cannot set the receive buffer of {at}"))?;
        // The kernel doubles what it is asked for, and counts its own needs in.
        if got < buffer {
            tracing::warn!(
                "a receive buffer of {got} bytes, not {buffer}: the system allows no more \
                 (net.core.rmem_max)"
            );
        }
    }
    Ok(sockets)
}

fn open(at: &HostPort, threads: usize) -> Result<Vec<OwnedFd>> {
    let mut candidates = at.listen_candidates()?;
    if at.host().is_empty() {
        candidates.sort_by_key(SocketAddr::is_ipv4);
    }
    let first = first_of(&candidates)?;
    let addr = eventloop::net::local_addr(first.as_fd())?;
    sockopt::set_socket_reuseport(&first, true)?;
    let mut sockets = vec![first];
    for _ in 1..threads {
        sockets.push(datagram::bind(addr, true)?);
    }
    Ok(sockets)
}

/// Where the first of these can be bound. The second is only tried where the kernel knows
/// nothing of the first one's family: any other error stands.
fn first_of(candidates: &[SocketAddr]) -> io::Result<OwnedFd> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for &addr in candidates {
        match datagram::bind(addr, false) {
            Ok(socket) => return Ok(socket),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => last = error,
                _ => return Err(error),
            },
        }
    }
    Err(last)
}

/// Opens the listener for streams, on the port of the datagrams where both are wanted.
///
/// # Errors
/// Names the address and what the system said.
pub(super) fn tcp(at: &HostPort, beside: Option<&OwnedFd>) -> Result<(OwnedFd, SocketAddr)> {
    let beside = beside.map(|socket| eventloop::net::local_addr(socket.as_fd()));
    if let Some(beside) = beside.transpose()? {
        let listening = service::addr::listen(&HostPort::from(beside));
        // A port that the kernel chose for one may be taken for the other.
        if listening.is_ok() || at.port() != 0 {
            return listening.with_context(|| format!("cannot listen on {at} (tcp)"));
        }
    }
    service::addr::listen(at).with_context(|| format!("cannot listen on {at} (tcp)"))
}

/// All interfaces of IPv4, as the original listens on.
pub(super) fn any_v4(port: u16) -> HostPort {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()
}

/// All interfaces, of both families.
pub(super) fn any_v6(port: u16) -> HostPort {
    SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> HostPort {
        text.parse().unwrap()
    }

    #[test]
    fn all_threads_share_a_port_that_nobody_else_gets() {
        let sockets = udp(&at("127.0.0.1:0"), 3, 4_096).unwrap();
        let ports: Vec<_> = sockets
            .iter()
            .map(|socket| eventloop::net::local_addr(socket.as_fd()).unwrap())
            .collect();
        assert!(ports.len() == 3 && ports.iter().all(|one| *one == ports[0]));
        let error = udp(&ports[0].into(), 2, 4_096).unwrap_err();
        assert!(format!("{error:#}").contains("in use"), "{error:#}");
    }

    #[test]
    fn streams_come_in_on_the_same_port() {
        let sockets = udp(&at("127.0.0.1:0"), 1, 4_096).unwrap();
        let port = eventloop::net::local_addr(sockets[0].as_fd()).unwrap();
        // The port may be taken by a stream of somebody else's.
        let (_listener, bound) = tcp(&at("127.0.0.1:0"), sockets.first()).unwrap();
        assert_eq!(bound.ip(), port.ip());
        let error = tcp(&bound.into(), sockets.first());
        assert!(error.is_err() || bound != port);
    }
}
