//! The same two ports for every block of a comparison.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Ports below this are for services that are known by them.
const LOWEST: u16 = 10_240;

/// Where the kernel takes the ports of outgoing connections from, unless it says
/// otherwise.
const USUAL_EPHEMERAL: u16 = 32_768;

/// Where upstream and proxy listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The server behind the proxy.
    pub upstream: SocketAddr,
    /// The proxy under test.
    pub proxy: SocketAddr,
}

impl Ports {
    /// Two ports that are free now and that no outgoing connection will be given: between
    /// blocks nobody holds them.
    ///
    /// # Errors
    /// That there are none.
    pub fn choose(seed: u64) -> io::Result<Self> {
        let end = ephemeral_start().max(LOWEST + 2);
        let count = end - LOWEST;
        let first = (seed % u64::from(count)) as u16;
        let mut free = (0..count)
            .map(|step| {
                LOWEST + (u32::from(first) + u32::from(step)).rem_euclid(count.into()) as u16
            })
            .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .filter(|addr| TcpListener::bind(addr).is_ok());
        match (free.next(), free.next()) {
            (Some(upstream), Some(proxy)) => Ok(Self { upstream, proxy }),
            _ => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("no two free ports between {LOWEST} and {end}"),
            )),
        }
    }
}

/// The first port that the kernel gives to outgoing connections.
fn ephemeral_start() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(USUAL_EPHEMERAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_free_ports_out_of_the_way() {
        let ports = Ports::choose(1).unwrap();
        assert_ne!(ports.upstream, ports.proxy);
        assert!(ports.upstream.port() < ephemeral_start());
        let held = TcpListener::bind(ports.upstream).unwrap();
        let others = Ports::choose(1).unwrap();
        assert_ne!(others.upstream, held.local_addr().unwrap());
    }
}
