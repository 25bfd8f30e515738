//! A port for datagrams: read by the batch, or slowly, and shut without being lost.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use eventloop::datagram::{self, LONGEST, Receiver};
use eventloop::{Interest, Poller, net};

/// Datagrams taken with one system call.
pub(crate) const BATCH: usize = 64;

/// What a datagram that waits takes of the receive buffer, however short it is: less than
/// any kernel needs to keep it.
const LEAST_BYTES: u64 = 512;

/// Batches taken before others get their turn.
const BATCHES_PER_TURN: usize = 16;

/// How often another port is tried when any will do and the one that was free is not.
const PORT_ATTEMPTS: usize = 16;

/// Opens a socket there, and tells where that is. A port that may be any is chosen first
/// and then asked for: one that the system chose on its own is given back when a socket is
/// [shut](Datagrams::shut) and opened again.
pub(crate) fn bind(at: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    for attempt in 1.. {
        let to = match at.port() {
            0 => net::local_addr(datagram::bind(at, false)?.as_fd())?,
            _ => at,
        };
        match datagram::bind(to, false) {
            Ok(fd) => return Ok((fd, to)),
            Err(error) => {
                let is_taken = error.kind() == io::ErrorKind::AddrInUse;
                if at.port() != 0 || !is_taken || attempt == PORT_ATTEMPTS {
                    return Err(error);
                }
            }
        }
    }
    unreachable!("the last attempt returns")
}

/// The socket, what it is read into, and when it is read.
pub(crate) struct Datagrams {
    fd: OwnedFd,
    token: u64,
    receiver: Receiver,
    /// Bytes per second, if reading is to be slow.
    rate: Option<u64>,
    /// Room for datagrams that wait, as the kernel counts it.
    room: u64,
    taken: u64,
    is_watched: bool,
    /// When reading goes on that is slow.
    again: Option<Instant>,
    heard: Instant,
}

impl Datagrams {
    /// Watches `fd`, which was [bound](bind) to a port by its number and has `room` bytes for datagrams that wait. Its events have this
    /// `token`. With a `rate` it is read at so many bytes per second.
    pub(crate) fn new(
        fd: OwnedFd,
        room: usize,
        token: u64,
        rate: Option<u64>,
        poller: &Poller,
    ) -> io::Result<Self> {
        // A slow reader takes one at a time, or it would be fast and then pause.
        let batch = if rate.is_some() { 1 } else { BATCH };
        let mut datagrams = Self {
            fd,
            token,
            // Gathering would be faster still, but the kernel counts what was gathered and
            // then dropped as one.
            receiver: Receiver::new(batch, LONGEST),
            rate,
            room: room as u64,
            taken: 0,
            is_watched: false,
            again: None,
            heard: Instant::now(),
        };
        datagrams.watch(true, poller)?;
        Ok(datagrams)
    }

    /// Hands what waits to `take`, but not for ever. Says whether it pauses now, because
    /// reading is slow.
    pub(crate) fn read(
        &mut self,
        poller: &Poller,
        take: &mut impl FnMut(&OwnedFd, &Receiver),
    ) -> io::Result<bool> {
        for _ in 0..BATCHES_PER_TURN {
            let bytes = self.read_batch(take)?;
            if let (Some(rate), Some(bytes)) = (self.rate, bytes) {
                let pause = Duration::from_secs_f64(bytes as f64 / rate as f64);
                self.again = Instant::now().checked_add(pause);
                self.watch(false, poller)?;
                return Ok(true);
            }
            if bytes.is_none() || !self.receiver.is_full() {
                break;
            }
        }
        Ok(false)
    }

    /// When it is to be resumed.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.again
    }

    /// Goes on reading, if that is due.
    pub(crate) fn resume(&mut self, now: Instant, poller: &Poller) -> io::Result<()> {
        match self.again.take_if(|due| *due <= now) {
            Some(_) => self.watch(true, poller),
            None => Ok(()),
        }
    }

    /// When the last one came.
    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// The socket.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Room for datagrams that wait, as the kernel counts it.
    pub(crate) fn room(&self) -> u64 {
        self.room
    }

    /// How many the kernel has dropped. It counts in 32 bits, and drops as many in no run.
    pub(crate) fn drops(&self) -> Option<u64> {
        datagram::receive_drops(&self.fd).ok().map(u64::from)
    }

    /// Hands what waits at this moment to `take`, unless reading is slow.
    pub(crate) fn catch_up(
        &mut self,
        take: &mut impl FnMut(&OwnedFd, &Receiver),
    ) -> io::Result<()> {
        if self.rate.is_none() {
            let waiting = self.room / LEAST_BYTES;
            self.read_until(self.taken.saturating_add(waiting), take)?;
        }
        Ok(())
    }

    /// Lets none in any more, and hands all that wait to `take`.
    pub(crate) fn shut(
        &mut self,
        poller: &Poller,
        take: &mut impl FnMut(&OwnedFd, &Receiver),
    ) -> io::Result<()> {
        shut(&self.fd)?;
        self.watch(false, poller)?;
        self.again = None;
        self.read_until(u64::MAX, take)
    }

    /// Lets them in again.
    pub(crate) fn reopen(&mut self, poller: &Poller) -> io::Result<()> {
        rustix::net::connect_unspec(&self.fd)?;
        self.watch(true, poller)
    }

    fn watch(&mut self, watch: bool, poller: &Poller) -> io::Result<()> {
        match (std::mem::replace(&mut self.is_watched, watch), watch) {
            (false, true) => poller.add(&self.fd, self.token, Interest::Read),
            (true, false) => poller.remove(&self.fd),
            _ => Ok(()),
        }
    }

    /// Reads until nothing waits, or so many have come in all.
    fn read_until(
        &mut self,
        datagrams: u64,
        take: &mut impl FnMut(&OwnedFd, &Receiver),
    ) -> io::Result<()> {
        while self.taken < datagrams && self.read_batch(take)?.is_some() {}
        Ok(())
    }

    /// Hands what waits to `take`, up to a batch, and tells how many bytes that was.
    fn read_batch(
        &mut self,
        take: &mut impl FnMut(&OwnedFd, &Receiver),
    ) -> io::Result<Option<u64>> {
        let datagrams = self.receiver.receive(&self.fd)?;
        if datagrams == 0 {
            return Ok(None);
        }
        take(&self.fd, &self.receiver);
        self.taken += datagrams as u64;
        self.heard = Instant::now();
        let bytes = self.receiver.datagrams().map(|one| one.bytes.len() as u64);
        Ok(Some(bytes.sum()))
    }
}

/// Lets no datagram in any more: for all senders nobody listens on the port, which stays
/// ours. What is waiting can still be read.
///
/// A socket that is connected takes datagrams from its peer only, and here the peer is
/// the socket itself. Closing it would lose what is waiting, and the count of drops.
fn shut(fd: &OwnedFd) -> io::Result<()> {
    let at = net::local_addr(fd.as_fd())?;
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    rustix::net::connect(fd, &SocketAddr::new(ip, at.port()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_shut_port_is_closed_to_all_and_opens_where_it_was() {
        for host in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let (fd, at) = bind(host.parse().unwrap()).unwrap();
            let poller = Poller::new().unwrap();
            let mut port = Datagrams::new(fd, 65_536, 0, None, &poller).unwrap();
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect((Ipv4Addr::LOCALHOST, at.port())).unwrap();
            let mut received = Vec::new();
            let mut take = |_: &OwnedFd, batch: &Receiver| {
                received.extend(batch.datagrams().map(|one| one.bytes.to_vec()));
            };
            client.send(b"one").unwrap();
            port.shut(&poller, &mut take).unwrap();
            client.send(b"two").unwrap();
            let refused = client.send(b"three").unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            port.reopen(&poller).unwrap();
            assert_eq!(net::local_addr(port.fd().as_fd()).unwrap(), at);
            client.send(b"four").unwrap();
            port.catch_up(&mut take).unwrap();
            assert_eq!(
                received,
                [&b"one"[..], b"four"],
                "what was waiting is not lost"
            );
        }
    }
}
