//! The same few ports for every block of a comparison, and for processes that come back.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Ports below this are for services that are known by them.
const LOWEST: u16 = 10_240;

/// Where the kernel takes the ports of outgoing connections from, unless it says
/// otherwise.
const USUAL_EPHEMERAL: u16 = 32_768;

/// Where upstreams and proxy listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The servers behind the proxy.
    pub upstreams: Vec<SocketAddr>,
    /// Where they are asked how they are, if they are.
    pub managements: Vec<SocketAddr>,
    /// The proxy under test.
    pub proxy: SocketAddr,
    /// Where it is told what to think of its backends.
    pub admin: SocketAddr,
    /// Where it is asked how it is.
    pub management: SocketAddr,
    /// The links in front of the servers, if there are any.
    pub links: Vec<SocketAddr>,
}

impl Ports {
    /// Ports that are free now and that no outgoing connection will be given: between
    /// blocks, and while a process is down, nobody holds them.
    ///
    /// # Errors
    /// That there are none.
    pub fn choose(seed: u64, upstreams: usize) -> io::Result<Self> {
        let end = ephemeral_start().max(LOWEST + 2);
        let count = end - LOWEST;
        let first = (seed % u64::from(count)) as u16;
        let mut free = (0..count)
            .map(|step| LOWEST + ((u32::from(first) + u32::from(step)) % u32::from(count)) as u16)
            .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .filter(|addr| TcpListener::bind(addr).is_ok() && UdpSocket::bind(addr).is_ok());
        let first_ports = free.next().zip(free.next()).zip(free.next());
        let all: Vec<SocketAddr> = free.take(3 * upstreams).collect();
        let (upstreams, others) = all.split_at(all.len().div_ceil(3));
        let (managements, links) = others.split_at(others.len().div_ceil(2));
        match first_ports {
            Some(((proxy, admin), management)) if !links.is_empty() => Ok(Self {
                upstreams: upstreams.to_vec(),
                managements: managements.to_vec(),
                proxy,
                admin,
                management,
                links: links.to_vec(),
            }),
            _ => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("too few free ports between {LOWEST} and {end}"),
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
    fn free_ports_out_of_the_way() {
        let ports = Ports::choose(1, 3).unwrap();
        let proxys = vec![ports.proxy, ports.admin, ports.management];
        let servers = [ports.upstreams, ports.managements, ports.links].concat();
        let mut all = [servers, proxys].concat();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 12, "{all:?}");
        assert!(all.iter().all(|at| at.port() < ephemeral_start()));
        let held = TcpListener::bind(ports.proxy).unwrap();
        let others = Ports::choose(1, 1).unwrap();
        assert_ne!(others.proxy, held.local_addr().unwrap());
    }
}
