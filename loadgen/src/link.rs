//! A connection's bytes: a plain socket, or one with TLS or a limited reading rate on it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use eventloop::{Fill, Stream};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use rustls::ClientConnection;

use crate::throttle::Throttle;
use crate::transport::Transport;

/// Bytes that a read offers room for at least; fewer than that is all there was.
const SHORT_READ: usize = 64 * 1024;

/// A connection's bytes.
#[derive(Debug)]
pub(crate) enum Link {
    /// What most loads use: nothing between the buffers and the socket.
    Plain(Stream),
    /// With TLS, or read slowly.
    Layered(Box<Layered>),
}

impl Link {
    /// A link over a connecting socket. `first` goes before everything else, TLS too.
    ///
    /// # Errors
    /// That TLS does not take the target's name.
    pub(crate) fn new(fd: OwnedFd, transport: &Transport, first: &[u8]) -> io::Result<Self> {
        if transport.tls.is_none() && transport.read_rate.is_none() {
            let mut stream = Stream::new(fd);
            stream.outbound().extend_from_slice(first);
            return Ok(Self::Plain(stream));
        }
        let tls = match &transport.tls {
            Some(tls) => Some(
                ClientConnection::new(tls.config.clone(), tls.name.clone())
                    .map_err(io::Error::other)?,
            ),
            None => None,
        };
        Ok(Self::Layered(Box::new(Layered {
            fd,
            first: first.to_vec(),
            tls,
            throttle: transport.read_rate.map(Throttle::new),
            inbound: Vec::new(),
            consumed: 0,
            outbound: Vec::new(),
            sent: 0,
        })))
    }

    /// Whether TLS is on it.
    pub(crate) fn has_tls(&self) -> bool {
        matches!(self, Self::Layered(layered) if layered.tls.is_some())
    }

    /// Reads once.
    #[inline]
    pub(crate) fn fill(&mut self, now: u64) -> io::Result<Fill> {
        match self {
            Self::Plain(stream) => stream.fill(),
            Self::Layered(layered) => layered.fill(now),
        }
    }

    /// Whether a read of this many bytes has emptied the socket, so that whatever comes
    /// later is a new edge.
    #[inline]
    pub(crate) fn is_emptied_by(&self, bytes: usize) -> bool {
        matches!(self, Self::Plain(_)) && bytes < SHORT_READ
    }

    /// Until when it must not be read.
    #[inline]
    pub(crate) fn paused_until(&self, now: u64) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Layered(layered) => layered.throttle?.allows(now).err(),
        }
    }

    /// What was read and not yet consumed.
    #[inline]
    pub(crate) fn inbound(&self) -> &[u8] {
        match self {
            Self::Plain(stream) => stream.inbound(),
            Self::Layered(layered) => &layered.inbound[layered.consumed..],
        }
    }

    /// Marks the first `bytes` bytes of what was read as done with.
    #[inline]
    pub(crate) fn consume(&mut self, bytes: usize) {
        match self {
            Self::Plain(stream) => stream.consume(bytes),
            Self::Layered(layered) => layered.consumed += bytes,
        }
    }

    /// The buffer to append to what will be written.
    #[inline]
    pub(crate) fn outbound(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Plain(stream) => stream.outbound(),
            Self::Layered(layered) => &mut layered.outbound,
        }
    }

    /// Whether something waits to be written.
    #[inline]
    pub(crate) fn has_unsent(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.unsent() > 0,
            Self::Layered(layered) => layered.has_unsent(),
        }
    }

    /// Writes as much as the socket takes. `true` when nothing is left.
    #[inline]
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Layered(layered) => layered.flush(),
        }
    }

    /// Whether TLS has not been agreed on yet.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Layered(layered) => layered.tls.as_ref().is_some_and(|tls| tls.is_handshaking()),
        }
    }

    /// Goes on with the handshake as far as the socket allows. `true` when it is done.
    pub(crate) fn shake_hands(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Layered(layered) => layered.shake_hands(),
        }
    }

    /// Ends our side of the connection, when everything has been written.
    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        if let Self::Layered(layered) = self
            && let Some(tls) = &mut layered.tls
        {
            tls.send_close_notify();
            // What does not fit now is a lost farewell, and the end says the same.
            let _ = layered.flush();
        }
        Ok(rustix::net::shutdown(self.as_fd(), Shutdown::Write)?)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain(stream) => stream.as_fd(),
            Self::Layered(layered) => layered.fd.as_fd(),
        }
    }
}

/// A socket with something on it.
#[derive(Debug)]
pub(crate) struct Layered {
    fd: OwnedFd,
    /// What goes before everything else, as far as it has not left.
    first: Vec<u8>,
    tls: Option<ClientConnection>,
    throttle: Option<Throttle>,
    inbound: Vec<u8>,
    consumed: usize,
    outbound: Vec<u8>,
    sent: usize,
}

impl Layered {
    fn fill(&mut self, now: u64) -> io::Result<Fill> {
        if self.consumed > 0 {
            self.inbound.drain(..self.consumed);
            self.consumed = 0;
        }
        let room = match &self.throttle {
            Some(throttle) => throttle.allows(now).unwrap_or(0).min(SHORT_READ),
            None => SHORT_READ,
        };
        if room == 0 {
            return Ok(Fill::Blocked);
        }
        let before = self.inbound.len();
        self.inbound.resize(before + room, 0);
        let read = self.read(before);
        let bytes = match read {
            Ok(Fill::Data(bytes)) => bytes,
            Ok(_) | Err(_) => 0,
        };
        self.inbound.truncate(before + bytes);
        if let Some(throttle) = &mut self.throttle {
            throttle.took(bytes, now);
        }
        read
    }

    /// Reads into the inbound buffer from `at` on.
    fn read(&mut self, at: usize) -> io::Result<Fill> {
        let Some(tls) = &mut self.tls else {
            return match Raw(&self.fd).read(&mut self.inbound[at..]) {
                Ok(0) => Ok(Fill::End),
                Ok(bytes) => Ok(Fill::Data(bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Fill::Blocked),
                Err(error) => Err(error),
            };
        };
        loop {
            match tls.reader().read(&mut self.inbound[at..]) {
                Ok(0) => return Ok(Fill::End),
                Ok(bytes) => return Ok(Fill::Data(bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Fill::End);
                }
                Err(error) => return Err(error),
            }
            match tls.read_tls(&mut Raw(&self.fd)) {
                Ok(0) => return Ok(Fill::End),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Fill::Blocked);
                }
                Err(error) => return Err(error),
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            if tls.wants_write() {
                send_tls(tls, &self.fd)?;
            }
        }
    }

    fn has_unsent(&self) -> bool {
        !self.first.is_empty()
            || self.sent < self.outbound.len()
            || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    fn flush(&mut self) -> io::Result<bool> {
        while !self.first.is_empty() {
            match written(Raw(&self.fd).write(&self.first))? {
                Some(bytes) => drop(self.first.drain(..bytes)),
                None => return Ok(false),
            }
        }
        loop {
            let left = &self.outbound[self.sent..];
            let taken = match &mut self.tls {
                Some(tls) => {
                    let taken = tls.writer().write(left)?;
                    if !send_tls(tls, &self.fd)? {
                        self.sent += taken;
                        return Ok(false);
                    }
                    taken
                }
                None if left.is_empty() => 0,
                None => match written(Raw(&self.fd).write(left))? {
                    Some(bytes) => bytes,
                    None => return Ok(false),
                },
            };
            self.sent += taken;
            if self.sent == self.outbound.len() {
                self.outbound.clear();
                self.sent = 0;
                return Ok(true);
            }
            if taken == 0 {
                return Ok(false);
            }
        }
    }

    fn shake_hands(&mut self) -> io::Result<bool> {
        while !self.first.is_empty() {
            match written(Raw(&self.fd).write(&self.first))? {
                Some(bytes) => drop(self.first.drain(..bytes)),
                None => return Ok(false),
            }
        }
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.is_handshaking() {
            if tls.wants_write() && !send_tls(tls, &self.fd)? {
                return Ok(false);
            }
            if !tls.wants_read() {
                continue;
            }
            match tls.read_tls(&mut Raw(&self.fd)) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if let Err(error) = tls.process_new_packets() {
                // The target is told why, if it still listens.
                let _ = send_tls(tls, &self.fd);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        send_tls(tls, &self.fd)?;
        Ok(true)
    }
}

/// Sends what TLS has to send. `true` when nothing is left.
fn send_tls(tls: &mut ClientConnection, fd: &OwnedFd) -> io::Result<bool> {
    while tls.wants_write() {
        if written(tls.write_tls(&mut Raw(fd)))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `None` if the socket takes no more at present.
fn written(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// A socket as TLS wants it.
struct Raw<'a>(&'a OwnedFd);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::net::recv(self.0, &mut *buffer, RecvFlags::empty()) {
                Ok((bytes, _)) => return Ok(bytes),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::net::send(self.0, bytes, SendFlags::NOSIGNAL) {
                Ok(bytes) => return Ok(bytes),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
