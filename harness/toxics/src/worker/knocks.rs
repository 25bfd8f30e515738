//! Who knocks at a port in vain: what the kernel tells of connections that nobody is given.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, bind, ipproto, recv, socket_with, sockopt,
};

/// Room for attempts that come in a burst: each takes the kernel about a kilobyte.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Attempts to connect to a closed port. They reach no listening socket, but a raw one sees
/// their SYN packets, where the process may have one (`CAP_NET_RAW`).
#[derive(Debug)]
pub(super) struct Knocks(Vec<OwnedFd>);

impl Knocks {
    /// Begins to watch an address.
    ///
    /// # Errors
    /// That this process may not, or what else the system said.
    pub(super) fn open(at: SocketAddr) -> io::Result<Self> {
        let mut addresses = vec![at];
        if at.is_ipv6() && at.ip().is_unspecified() {
            // Such a listener takes both.
            let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            addresses.push(SocketAddr::new(any, at.port()));
        }
        let sockets = addresses.into_iter().map(open_raw);
        let knocks = Self(sockets.collect::<io::Result<_>>()?);
        // What came before the filter was there.
        knocks.take();
        Ok(knocks)
    }

    /// What to wait on.
    pub(super) fn sockets(&self) -> &[OwnedFd] {
        &self.0
    }

    /// How many attempts there were since the last call.
    pub(super) fn take(&self) -> u64 {
        let mut nowhere = [0; 64];
        let mut next = |socket| recv(socket, &mut nowhere[..], RecvFlags::DONTWAIT).is_ok();
        let counts = self
            .0
            .iter()
            .map(|socket| std::iter::from_fn(|| next(socket).then_some(())).count() as u64);
        counts.sum()
    }
}

fn open_raw(at: SocketAddr) -> io::Result<OwnedFd> {
    let family = if at.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::RAW, flags, Some(ipproto::TCP))?;
    // What the limit cuts off of it is not missed often.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER_BYTES);
    pass_only_first_packets(&socket, at)?;
    bind(&socket, &SocketAddr::new(at.ip(), 0))?;
    Ok(socket)
}

/// Has the kernel drop everything but SYN packets to this port.
#[expect(unsafe_code, reason = "no safe binding has this socket option")]
fn pass_only_first_packets(socket: impl AsFd, at: SocketAddr) -> io::Result<()> {
    use libc::{
        BPF_ALU, BPF_AND, BPF_B, BPF_H, BPF_IMM, BPF_IND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_LDX,
        BPF_MSH, BPF_RET,
    };
    // Of the flags of a TCP header, which are its byte 13.
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    let step = |code: u32, k: u32, jump_if_not: u8| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: jump_if_not,
        k,
    };
    // A packet begins with its IPv4 header, whose first byte tells its length; with IPv6
    // that header is gone.
    let find_header = if at.is_ipv4() {
        step(BPF_LDX | BPF_B | BPF_MSH, 0, 0)
    } else {
        step(BPF_LDX | BPF_IMM, 0, 0)
    };
    let program = [
        find_header,
        step(BPF_LD | BPF_H | BPF_IND, 2, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, at.port().into(), 4),
        step(BPF_LD | BPF_B | BPF_IND, 13, 0),
        step(BPF_ALU | BPF_AND | BPF_K, SYN | ACK, 0),
        step(BPF_JMP | BPF_JEQ | BPF_K, SYN, 1),
        step(BPF_RET | BPF_K, 64, 0),
        step(BPF_RET | BPF_K, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the program and what it points to live until the call returns, and the
    // kernel only reads them.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How many connections a listening socket has that nobody has accepted yet.
///
/// # Errors
/// What `getsockopt` said.
#[expect(unsafe_code, reason = "no safe binding has this socket option")]
pub(super) fn waiting(listener: impl AsFd) -> io::Result<u32> {
    // SAFETY: it is made of numbers, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes.
    let outcome = unsafe {
        libc::getsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut len,
        )
    };
    if outcome == 0 {
        // Of a listening socket this field holds the length of its queue.
        Ok(info.tcpi_unacked)
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn those_who_wait_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(waiting(&listener).unwrap(), 0);
        let at = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(at).unwrap()).collect();
        assert_eq!(waiting(&listener).unwrap(), 3);
        drop((listener.accept().unwrap(), clients));
        assert_eq!(waiting(&listener).unwrap(), 2);
    }

    #[test]
    fn those_who_are_refused_are_counted_where_it_is_allowed() {
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                eprintln!("SKIPPED: {address} cannot be bound");
                continue;
            };
            let mut at = listener.local_addr().unwrap();
            drop(listener);
            let knocks = match Knocks::open(at) {
                Ok(knocks) => knocks,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                    eprintln!("SKIPPED: no raw sockets");
                    return;
                }
            };
            if at.ip().is_unspecified() {
                at.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            for _ in 0..5 {
                assert!(TcpStream::connect(at).is_err());
            }
            at.set_port(at.port() ^ 1);
            let _ = TcpStream::connect(at);
            assert_eq!((knocks.take(), knocks.take()), (5, 0), "{address}");
        }
    }
}
