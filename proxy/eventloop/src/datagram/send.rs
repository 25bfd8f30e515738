//! Sending by the batch.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;
use rustix::net::SocketAddrAny;
use rustix::net::addr::SocketAddrArg as _;

use super::{CONTROL_BYTES, outcome, zeroed_header};

/// What a batch of datagrams is handed to the kernel with.
pub struct Sender {
    pieces: Vec<libc::iovec>,
    /// Where they go, if that is not where the socket is connected to.
    names: Vec<Option<SocketAddrAny>>,
    headers: Vec<libc::mmsghdr>,
    batch: usize,
}

// SAFETY: outside of a call the vectors are empty.
#[expect(unsafe_code, reason = "raw pointers that live for one call")]
unsafe impl Send for Sender {}

impl Sender {
    /// Sends up to `batch` datagrams with one call.
    #[must_use]
    pub fn new(batch: usize) -> Self {
        Self {
            pieces: Vec::with_capacity(batch),
            names: Vec::with_capacity(batch),
            headers: Vec::with_capacity(batch),
            batch,
        }
    }

    /// Sends datagrams on a connected socket until one does not leave at once. Says how
    /// many left.
    ///
    /// # Errors
    /// Why the first of them did not leave. It was not sent: an error that an earlier
    /// datagram brought back counts as well.
    pub fn send<'a>(
        &mut self,
        fd: impl AsFd,
        datagrams: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<usize, Errno> {
        self.send_all(fd, datagrams.into_iter().map(|datagram| (datagram, None)))
    }

    /// Sends datagrams to their addresses, as [`send`](Self::send) does.
    ///
    /// # Errors
    /// Why the first of them did not leave.
    pub fn send_to<'a>(
        &mut self,
        fd: impl AsFd,
        datagrams: impl IntoIterator<Item = (&'a [u8], SocketAddr)>,
    ) -> Result<usize, Errno> {
        let named = datagrams.into_iter();
        self.send_all(fd, named.map(|(datagram, to)| (datagram, Some(to))))
    }

    #[expect(unsafe_code, reason = "no safe binding has sendmmsg for plain slices")]
    fn send_all<'a>(
        &mut self,
        fd: impl AsFd,
        mut datagrams: impl Iterator<Item = (&'a [u8], Option<SocketAddr>)>,
    ) -> Result<usize, Errno> {
        let mut sent = 0;
        loop {
            self.pieces.clear();
            self.names.clear();
            self.headers.clear();
            for (datagram, to) in datagrams.by_ref().take(self.batch) {
                self.names.push(to.map(|to| to.as_any()));
                self.pieces.push(libc::iovec {
                    iov_base: datagram.as_ptr().cast_mut().cast(),
                    iov_len: datagram.len(),
                });
            }
            if self.pieces.is_empty() {
                return Ok(sent);
            }
            for (piece, name) in self.pieces.iter_mut().zip(&self.names) {
                // SAFETY: null pointers and zero lengths are valid here.
                let mut header = unsafe { zeroed_header() };
                header.msg_hdr.msg_iov = piece;
                header.msg_hdr.msg_iovlen = 1;
                if let Some(name) = name {
                    header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
                    header.msg_hdr.msg_namelen = name.addr_len();
                }
                self.headers.push(header);
            }
            let mut done = 0;
            while done < self.headers.len() {
                let rest = &mut self.headers[done..];
                // SAFETY: each header points to one slice and perhaps one name, which are
                // only read from and outlive the call.
                let left = unsafe {
                    libc::sendmmsg(
                        fd.as_fd().as_raw_fd(),
                        rest.as_mut_ptr(),
                        rest.len() as libc::c_uint,
                        libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                    )
                };
                match outcome(left) {
                    Ok(left) => done += left,
                    Err(Errno::INTR) => {}
                    Err(errno) if sent + done == 0 => return Err(errno),
                    Err(_) => return Ok(sent + done),
                }
            }
            sent += done;
        }
    }
}

/// Sends `bytes` on a connected socket as datagrams of `segment` bytes, the last one
/// shorter, which the kernel cuts up as late as it can (`UDP_SEGMENT`). At most 64 of them
/// and [`LONGEST`](super::LONGEST) bytes.
///
/// # Errors
/// Why nothing left.
#[expect(unsafe_code, reason = "control messages are written through pointers")]
pub fn send_segments(fd: impl AsFd, bytes: &[u8], segment: u16) -> Result<(), Errno> {
    let mut piece = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control = [0_u64; CONTROL_BYTES / 8];
    // SAFETY: null pointers and zero lengths are valid here.
    let mut header = unsafe { zeroed_header() }.msg_hdr;
    header.msg_iov = &raw mut piece;
    header.msg_iovlen = 1;
    if bytes.len() > segment.into() {
        header.msg_control = control.as_mut_ptr().cast();
        let len = size_of::<u16>() as libc::c_uint;
        // SAFETY: `control` is aligned and has room for one message of two bytes.
        unsafe {
            header.msg_controllen = libc::CMSG_SPACE(len) as usize;
            let message = libc::CMSG_FIRSTHDR(&raw const header);
            (*message).cmsg_level = libc::SOL_UDP;
            (*message).cmsg_type = libc::UDP_SEGMENT;
            (*message).cmsg_len = libc::CMSG_LEN(len) as usize;
            libc::CMSG_DATA(message)
                .cast::<u16>()
                .write_unaligned(segment);
        }
    }
    loop {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the header points to slices that outlive the call and are only read.
        let left = unsafe { libc::sendmsg(fd.as_fd().as_raw_fd(), &raw const header, flags) };
        match outcome(left as libc::c_int) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
