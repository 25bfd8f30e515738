//! What the kernel knows of a UDP socket: whether it is there, what waits in it, and how
//! many datagrams it had no room for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// All sockets of one port, added up: a proxy may have one for each worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Bytes that wait to be read, as the kernel counts them.
    pub waiting_bytes: u64,
    /// Datagrams dropped, for want of room above all.
    pub drops: u64,
}

/// Looks for the sockets that take what is sent to `at`. None if there is none, or if the
/// kernel does not tell.
#[must_use]
pub fn look(at: SocketAddr) -> Option<Seen> {
    let table = match at {
        SocketAddr::V4(_) => "/proc/net/udp",
        SocketAddr::V6(_) => "/proc/net/udp6",
    };
    let own = found(&std::fs::read_to_string(table).ok()?, at);
    let is_v4 = at.is_ipv4();
    // One that listens on all of IPv6 may take IPv4 as well.
    own.or_else(|| {
        let text = std::fs::read_to_string("/proc/net/udp6").ok()?;
        is_v4.then(|| {
            found(
                &text,
                SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), at.port()),
            )
        })?
    })
}

/// Sums up the lines of a table that are about `at`.
fn found(table: &str, at: SocketAddr) -> Option<Seen> {
    let mut sum = None;
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let Some(local) = fields.get(1).and_then(|text| address(text)) else {
            continue;
        };
        let is_any = local.ip().is_unspecified() && local.is_ipv4() == at.is_ipv4();
        if local.port() != at.port() || !(is_any || local.ip() == at.ip()) {
            continue;
        }
        let waiting = fields.get(4).and_then(|text| text.split_once(':'));
        let waiting = waiting.and_then(|(_, bytes)| u64::from_str_radix(bytes, 16).ok());
        let drops = fields.last().and_then(|text| text.parse::<u64>().ok());
        let sum: &mut Seen = sum.get_or_insert_default();
        sum.waiting_bytes += waiting.unwrap_or(0);
        sum.drops += drops.unwrap_or(0);
    }
    sum
}

/// `0100007F:1FBD` is 127.0.0.1:8125: words of 32 bits, each in the machine's own order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok();
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?.to_ne_bytes()).into(),
        32 => {
            let mut bytes = [0; 16];
            for (nth, place) in bytes.chunks_exact_mut(4).enumerate() {
                place.copy_from_slice(&word(nth)?.to_ne_bytes());
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_socket_is_found_with_what_waits_in_it() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(any) else {
                continue;
            };
            let at = socket.local_addr().unwrap();
            assert_eq!(look(at), Some(Seen::default()));
            let client = UdpSocket::bind(any).unwrap();
            client.send_to(b"x:1|c", at).unwrap();
            assert!(look(at).unwrap().waiting_bytes > 0);
            drop(socket);
            assert_eq!(look(at), None);
        }
    }

    #[test]
    fn sockets_of_one_port_are_added_up() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1: 0100007F:1FBD 00000000:0000 07 00000000:00000100 00:00000000 00000000 0 0 1 2 0 5\n\
            2: 00000000:1FBD 00000000:0000 07 00000000:00000010 00:00000000 00000000 0 0 1 2 0 2\n\
            3: 0200007F:1FBD 00000000:0000 07 00000000:00000001 00:00000000 00000000 0 0 1 2 0 1\n\
            4: 0100007F:1FBE 00000000:0000 07 00000000:00000001 00:00000000 00000000 0 0 1 2 0 1\n";
        let seen = found(table, "127.0.0.1:8125".parse().unwrap()).unwrap();
        assert_eq!((seen.waiting_bytes, seen.drops), (0x110, 7));
        assert_eq!(found(table, "127.0.0.1:8127".parse().unwrap()), None);
    }
}
