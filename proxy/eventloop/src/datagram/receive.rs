//! Receiving by the batch.

use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use super::{outcome, zeroed_header};

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Its payload, or as much of it as there was room for.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub from: Option<SocketAddr>,
    /// It was longer.
    pub truncated: bool,
}

/// Between the rooms of two datagrams, so that their first lines do not all want the same
/// place in a cache.
const APART: usize = 4_096 + 64;

/// Room for a batch of datagrams.
pub struct Receiver {
    longest: usize,
    /// From the room of one to that of the next.
    stride: usize,
    bytes: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    pieces: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    /// How many the last call brought.
    filled: usize,
}

// SAFETY: the pointers in `pieces` and `headers` are into the vectors beside them, which
// move with them and never grow.
#[expect(unsafe_code, reason = "raw pointers into one's own vectors")]
unsafe impl Send for Receiver {}

impl Receiver {
    /// Room for `batch` datagrams of at most `longest` bytes. Memory is touched only where
    /// datagrams come to lie.
    #[must_use]
    pub fn new(batch: usize, longest: usize) -> Self {
        // SAFETY: all zeros is a valid value of each of these plain structures.
        #[expect(unsafe_code, reason = "plain C structures begin as zeros")]
        let (name, header) = unsafe { (MaybeUninit::zeroed().assume_init(), zeroed_header()) };
        let stride = longest + APART;
        let mut this = Self {
            longest,
            stride,
            bytes: vec![0; batch * stride],
            names: vec![name; batch],
            pieces: Vec::with_capacity(batch),
            headers: vec![header; batch],
            filled: 0,
        };
        for (chunk, _) in this.bytes.chunks_exact_mut(stride).zip(0..batch) {
            this.pieces.push(libc::iovec {
                iov_base: chunk.as_mut_ptr().cast(),
                iov_len: longest,
            });
        }
        for (nth, header) in this.headers.iter_mut().enumerate() {
            header.msg_hdr.msg_iov = &raw mut this.pieces[nth];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut this.names[nth]).cast();
        }
        this
    }

    /// Takes what waits, up to a batch, in place of what was there before. Says how many
    /// datagrams came, none if nothing waits.
    ///
    /// # Errors
    /// What `recvmmsg` said, such as an error that an earlier datagram brought back.
    #[expect(unsafe_code, reason = "no safe binding has recvmmsg")]
    pub fn receive(&mut self, fd: impl AsFd) -> Result<usize, Errno> {
        for header in &mut self.headers {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        self.filled = 0;
        loop {
            // SAFETY: each header points to room of the length that it tells, in vectors
            // that outlive the call.
            let taken = unsafe {
                libc::recvmmsg(
                    fd.as_fd().as_raw_fd(),
                    self.headers.as_mut_ptr(),
                    self.headers.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                )
            };
            match outcome(taken) {
                Ok(taken) => {
                    self.filled = taken;
                    return Ok(taken);
                }
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Whether the last call filled the whole batch, so that more may wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.filled == self.headers.len()
    }

    /// What the last call brought, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let headers = self.headers[..self.filled].iter().enumerate();
        headers.map(|(nth, header)| {
            let start = nth * self.stride;
            let len = (header.msg_len as usize).min(self.longest);
            Datagram {
                bytes: &self.bytes[start..start + len],
                from: address(&self.names[nth], header.msg_hdr.msg_namelen),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            }
        })
    }
}

#[expect(unsafe_code, reason = "an address is one of several structures")]
fn address(name: &libc::sockaddr_storage, len: libc::socklen_t) -> Option<SocketAddr> {
    let at_least = |size: usize| len as usize >= size;
    match i32::from(name.ss_family) {
        libc::AF_INET if at_least(size_of::<libc::sockaddr_in>()) => {
            // SAFETY: the family and the length say that it is this structure.
            let name = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 if at_least(size_of::<libc::sockaddr_in6>()) => {
            // SAFETY: the family and the length say that it is this structure.
            let name = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let (flow, scope) = (name.sin6_flowinfo, name.sin6_scope_id);
            Some(SocketAddrV6::new(ip, u16::from_be(name.sin6_port), flow, scope).into())
        }
        _ => None,
    }
}
