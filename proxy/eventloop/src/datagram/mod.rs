//! UDP by the batch: many datagrams for one system call, and what became of those that
//! did not get through.
//!
//! [`Receiver`] and [`Sender`] are `recvmmsg` and `sendmmsg`; [`send_segments`] hands over
//! one buffer that the kernel cuts up. What the kernel dropped is told by
//! [`receive_drops`], what the other host sent back by [`take_returned`].

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

pub use receive::{Datagram, Receiver};
pub use send::{Sender, send_segments};

mod receive;
mod send;

/// The longest payload of a datagram.
pub const LONGEST: usize = 65_535;

/// Where the count of drops stands in what `SO_MEMINFO` tells.
const MEMINFO_DROPS: usize = 8;
const MEMINFO_LEN: usize = 9;

/// Room for the control messages of a datagram: one of a few bytes.
const CONTROL_BYTES: usize = 64;

fn open(addr: SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
    Ok(fd)
}

/// Opens a non-blocking socket bound to `addr`. `shared`: other sockets may be bound to
/// the same address, and the kernel gives each of them some of the senders.
///
/// An IPv6 wildcard takes IPv4 as well.
///
/// # Errors
/// What `socket` or `bind` said, without the address: the caller names it.
pub fn bind(addr: SocketAddr, shared: bool) -> io::Result<OwnedFd> {
    let fd = open(addr)?;
    if shared {
        sockopt::set_socket_reuseport(&fd, true)?;
    }
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, !addr.ip().is_unspecified())?;
    }
    rustix::net::bind(&fd, &addr)?;
    Ok(fd)
}

/// Opens a non-blocking socket that sends to `addr`. What its host sends back, such as
/// that nobody listens there, waits for [`take_returned`].
///
/// # Errors
/// What `socket` or `connect` said.
pub fn connect(addr: SocketAddr) -> io::Result<OwnedFd> {
    let fd = open(addr)?;
    let (level, option) = if addr.is_ipv4() {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    };
    set_int(&fd, level, option, 1)?;
    rustix::net::connect(&fd, &addr)?;
    Ok(fd)
}

/// Asks for so much room for datagrams that wait to be received, beyond what the system
/// allows everybody if we may. Returns what there is; the kernel counts its own overhead
/// in, and doubles what it is asked for.
///
/// # Errors
/// What `setsockopt` said.
pub fn set_receive_buffer(fd: impl AsFd, bytes: usize) -> io::Result<usize> {
    let wanted = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX / 2);
    if set_int(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, wanted).is_err() {
        set_int(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, wanted)?;
    }
    Ok(sockopt::socket_recv_buffer_size(fd)?)
}

#[expect(unsafe_code, reason = "no safe binding has these socket options")]
fn set_int(
    fd: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the value is an int that lives until the call returns.
    let outcome = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How many datagrams the kernel has dropped because the socket had no room for them or
/// their checksum was wrong, since it was opened. The count wraps at 2³².
///
/// # Errors
/// What `getsockopt` said.
#[expect(unsafe_code, reason = "no safe binding has SO_MEMINFO")]
pub fn receive_drops(fd: impl AsFd) -> io::Result<u32> {
    let mut info = [0_u32; MEMINFO_LEN];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `info`.
    let outcome = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(info[MEMINFO_DROPS])
}

/// Takes what became of datagrams on a [`connect`]ed socket, as far as that came back: that
/// nobody listens ([`Errno::CONNREFUSED`]), or that they were lost on their way for another
/// reason. `each` gets the reason and what of the payload came back, which may be cut off.
/// The kernel keeps a few hundred; what came on top of them is not told.
#[expect(unsafe_code, reason = "no safe binding reads the error queue")]
pub fn take_returned(fd: impl AsFd, mut each: impl FnMut(Errno, &[u8])) {
    let mut bytes = [0_u8; 2_048];
    let mut control = [0_u64; 64];
    loop {
        let mut piece = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: null pointers and zero lengths are valid here.
        let mut header = unsafe { zeroed_header() }.msg_hdr;
        header.msg_iov = &raw mut piece;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control);
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        // SAFETY: the header points to room of the lengths that it tells.
        let taken = unsafe { libc::recvmsg(fd.as_fd().as_raw_fd(), &raw mut header, flags) };
        match outcome(taken as libc::c_int) {
            Ok(len) => each(why_returned(&header), &bytes[..len.min(bytes.len())]),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// Why a datagram came back.
#[expect(unsafe_code, reason = "control messages are read through pointers")]
fn why_returned(header: &libc::msghdr) -> Errno {
    // SAFETY: the kernel has written whole control messages, as long as it told.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let kind = ((*message).cmsg_level, (*message).cmsg_type);
            let errors = [
                (libc::SOL_IP, libc::IP_RECVERR),
                (libc::SOL_IPV6, libc::IPV6_RECVERR),
            ];
            if errors.contains(&kind) {
                let error = libc::CMSG_DATA(message).cast::<libc::sock_extended_err>();
                let errno = error.read_unaligned().ee_errno;
                return Errno::from_raw_os_error(errno.cast_signed());
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    Errno::IO
}

#[expect(unsafe_code, reason = "plain C structures begin as zeros")]
unsafe fn zeroed_header() -> libc::mmsghdr {
    // SAFETY: null pointers and zero lengths are valid here.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn outcome(returned: libc::c_int) -> Result<usize, Errno> {
    usize::try_from(returned)
        .map_err(|_| Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        let to = bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let from = connect(crate::net::local_addr(to.as_fd()).unwrap()).unwrap();
        (from, to)
    }

    fn received(to: &OwnedFd, receiver: &mut Receiver) -> Vec<Vec<u8>> {
        receiver.receive(to).unwrap();
        receiver.datagrams().map(|one| one.bytes.to_vec()).collect()
    }

    #[test]
    fn a_batch_arrives_whole_and_in_order() {
        let (from, to) = pair();
        let sent: Vec<Vec<u8>> = (0..100_u8).map(|n| vec![n; usize::from(n)]).collect();
        let batch = sent.iter().map(Vec::as_slice);
        assert_eq!(Sender::new(32).send(&from, batch), Ok(100));
        let mut receiver = Receiver::new(64, 2_000);
        let mut seen = received(&to, &mut receiver);
        assert!(receiver.is_full());
        let source = receiver.datagrams().next().unwrap().from.unwrap();
        assert_eq!(source, crate::net::local_addr(from.as_fd()).unwrap());
        seen.extend(received(&to, &mut receiver));
        assert_eq!(seen, sent);
        assert!(received(&to, &mut receiver).is_empty());
    }

    #[test]
    fn each_datagram_goes_to_its_address() {
        let mut sender = Sender::new(4);
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let [from, one, two] = [(); 3].map(|()| bind(host.parse().unwrap(), false).unwrap());
            let at = |fd: &OwnedFd| crate::net::local_addr(fd.as_fd()).unwrap();
            let to = |nth: u8| at(if nth.is_multiple_of(2) { &two } else { &one });
            let sent: Vec<[u8; 1]> = (1..=9).map(|nth| [nth]).collect();
            let batch = sent.iter().map(|bytes| (bytes.as_slice(), to(bytes[0])));
            assert_eq!(sender.send_to(&from, batch), Ok(9));
            let mut receiver = Receiver::new(16, 10);
            assert_eq!(received(&one, &mut receiver), [[1], [3], [5], [7], [9]]);
            assert_eq!(receiver.datagrams().next().unwrap().from, Some(at(&from)));
            assert_eq!(received(&two, &mut receiver), [[2], [4], [6], [8]]);
        }
    }

    #[test]
    fn one_buffer_is_cut_up() {
        let (from, to) = pair();
        let bytes: Vec<u8> = (0..250).collect();
        send_segments(&from, &bytes, 100).unwrap();
        send_segments(&from, b"alone", 100).unwrap();
        Sender::new(1).send(&from, [&b""[..]]).unwrap();
        let seen = received(&to, &mut Receiver::new(8, LONGEST));
        let expected: Vec<&[u8]> = vec![
            &bytes[..100],
            &bytes[100..200],
            &bytes[200..],
            b"alone",
            b"",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_too_long_is_cut_off_and_said() {
        let (from, to) = pair();
        Sender::new(1).send(&from, [&[7_u8; 20][..]]).unwrap();
        let mut receiver = Receiver::new(2, 10);
        receiver.receive(&to).unwrap();
        let one = receiver.datagrams().next().unwrap();
        assert_eq!((one.bytes, one.truncated), (&[7_u8; 10][..], true));
    }

    #[test]
    fn drops_are_counted() {
        let (from, to) = pair();
        set_receive_buffer(&to, 4_096).unwrap();
        let datagram = [0_u8; 1_000];
        for _ in 0..100 {
            Sender::new(1).send(&from, [&datagram[..]]).unwrap();
        }
        let kept = received(&to, &mut Receiver::new(128, 1_000)).len();
        assert!(kept < 100, "{kept}");
        assert_eq!(receive_drops(&to).unwrap() as usize + kept, 100);
    }

    #[test]
    fn what_nobody_listens_to_comes_back() {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = connect(gone.local_addr().unwrap()).unwrap();
        drop(gone);
        let mut sender = Sender::new(4);
        assert_eq!(sender.send(&to, [&b"one"[..]]), Ok(1));
        // Until they are taken, the next call fails for it, once.
        assert_eq!(sender.send(&to, [&b"two"[..]]), Err(Errno::CONNREFUSED));
        assert_eq!(sender.send(&to, [&b"two"[..]]), Ok(1));
        let mut back = Vec::new();
        take_returned(&to, |why, bytes| back.push((why, bytes.to_vec())));
        let both = [&b"one"[..], b"two"].map(|bytes| (Errno::CONNREFUSED, bytes.to_vec()));
        assert_eq!(back, both);
        assert_eq!(sender.send(&to, [&b"three"[..]]), Ok(1));
    }
}
