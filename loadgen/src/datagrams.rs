//! Datagrams by the batch, and what became of each.
//!
//! A [`Batch`] holds datagrams one behind the other, so that those of one size can leave
//! in one piece that the kernel cuts up (`UDP_SEGMENT`); the others leave by `sendmmsg`.
//! It knows nothing of what is in them.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use eventloop::datagram::{self, Receiver, Sender, send_segments, take_returned};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// Datagrams that are handed to the kernel with one call: as many as it cuts up at most.
pub(crate) const MOST: usize = 64;

/// Fewest datagrams of one size that leave in one piece. With fewer, cutting costs more
/// than it saves.
const LEAST_ALIKE: usize = 4;

/// Most bytes of one piece: what the kernel takes, less the headers.
const MOST_BYTES: usize = 65_000;

/// How long a socket that is full is waited for, if it is waited for.
const PATIENCE: Duration = Duration::from_millis(100);

/// Datagrams that lie one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// Forgets all of them; the memory stays.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where the datagram at hand is written to: behind the last that was ended.
    #[inline]
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the datagram at hand.
    #[inline]
    pub(crate) fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// The bytes of some of them.
    #[inline]
    pub(crate) fn get(&self, some: Range<usize>) -> &[u8] {
        &self.bytes[self.start(some.start)..self.start(some.end)]
    }

    #[inline]
    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends[at - 1] }
    }

    fn size(&self, at: usize) -> usize {
        self.ends[at] - self.start(at)
    }

    /// How many from `at` on are of one size and fit in one piece.
    fn alike(&self, at: usize) -> usize {
        let size = self.size(at);
        if size == 0 || size > usize::from(u16::MAX) {
            return 1;
        }
        let most = (self.len() - at).min(MOST).min((MOST_BYTES / size).max(1));
        (1..most)
            .find(|next| self.size(at + next) != size)
            .unwrap_or(most)
    }
}

/// A connected UDP socket that sends and receives batches.
pub(crate) struct Socket {
    fd: OwnedFd,
    sender: Sender,
    segments: bool,
    came_back: u64,
}

impl Socket {
    /// A socket that sends to `target`, with the kernel's cutting if `segments` says so.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn connect(target: SocketAddr, segments: bool) -> io::Result<Self> {
        Ok(Self {
            fd: datagram::connect(target)?,
            sender: Sender::new(MOST),
            segments,
            came_back: 0,
        })
    }

    /// The same to the first of `targets` that there is a way to; at least one is given.
    ///
    /// # Errors
    /// What the system said of the last.
    pub(crate) fn connect_first(targets: &[SocketAddr], segments: bool) -> io::Result<Self> {
        let mut tries = targets
            .iter()
            .map(|target| Self::connect(*target, segments));
        let first = tries.next().expect("a name has at least one address");
        tries.fold(first, Result::or)
    }

    /// Asks for so much room for what waits to be received.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn make_room(&self, bytes: usize) -> io::Result<()> {
        datagram::set_receive_buffer(&self.fd, bytes).map(|_| ())
    }

    /// Takes what waits, up to a batch, and says how many datagrams that are.
    ///
    /// # Errors
    /// What the system said, such as what an earlier datagram brought back.
    pub(crate) fn receive(&self, receiver: &mut Receiver) -> Result<usize, Errno> {
        receiver.receive(&self.fd)
    }

    /// How many the kernel has dropped because they had no room; none if it does not tell.
    pub(crate) fn drops(&self) -> u64 {
        datagram::receive_drops(&self.fd).map_or(0, u64::from)
    }

    /// Sends all of `batch` in order and tells what became of each datagram, every one of
    /// them once. If the socket is full and `patient`, it is waited for a while.
    pub(crate) fn send(
        &mut self,
        batch: &Batch,
        patient: bool,
        mut told: impl FnMut(Range<usize>, Result<(), Errno>),
    ) {
        let mut at = 0;
        let mut waited = false;
        while at < batch.len() {
            match self.send_some(batch, at) {
                Ok(sent) => {
                    told(at..at + sent, Ok(()));
                    at += sent;
                    waited = false;
                }
                Err(Errno::AGAIN) if patient && !waited => {
                    waited = true;
                    self.wait_writable();
                }
                Err(errno) => {
                    if errno == Errno::CONNREFUSED {
                        self.take_refused();
                    }
                    told(at..at + 1, Err(errno));
                    at += 1;
                }
            }
        }
    }

    /// Sends from `at` on with one call and says how many left, at least one.
    fn send_some(&mut self, batch: &Batch, at: usize) -> Result<usize, Errno> {
        if !self.segments {
            return self.send_apart(batch, at..batch.len());
        }
        let alike = batch.alike(at);
        if alike >= LEAST_ALIKE {
            let size = batch.size(at) as u16;
            return match send_segments(&self.fd, batch.get(at..at + alike), size) {
                Ok(()) => Ok(alike),
                // The way to the target cannot do it: no checksums by the device, or the
                // datagrams are longer than what passes in one piece.
                Err(Errno::IO | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOPROTOOPT) => {
                    self.segments = false;
                    self.send_apart(batch, at..batch.len())
                }
                Err(errno) => Err(errno),
            };
        }
        let mut end = at + alike;
        while end < batch.len() {
            let next = batch.alike(end);
            if next >= LEAST_ALIKE {
                break;
            }
            end += next;
        }
        self.send_apart(batch, at..end)
    }

    fn send_apart(&mut self, batch: &Batch, some: Range<usize>) -> Result<usize, Errno> {
        let datagrams = some.map(|at| batch.get(at..at + 1));
        self.sender.send(&self.fd, datagrams)
    }

    fn wait_writable(&self) {
        let mut fds = [PollFd::new(&self.fd, PollFlags::OUT)];
        let patience = PATIENCE.try_into().expect("100 ms are few");
        let _ = poll(&mut fds, Some(&patience));
    }

    /// Takes note of the datagrams that the target's host has sent back.
    pub(crate) fn take_refused(&mut self) {
        take_returned(&self.fd, |why, _| {
            self.came_back += u64::from(why == Errno::CONNREFUSED);
        });
    }

    /// Datagrams that the target's host has sent back, as far as is known.
    pub(crate) fn came_back(&self) -> u64 {
        self.came_back
    }

    /// Whether datagrams of one size leave in one piece.
    pub(crate) fn segments(&self) -> bool {
        self.segments
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use proptest::prelude::*;

    use super::*;

    fn batch(sizes: &[usize]) -> Batch {
        let mut batch = Batch::default();
        for (nth, size) in sizes.iter().enumerate() {
            batch.bytes().extend(std::iter::repeat_n(nth as u8, *size));
            batch.end();
        }
        batch
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_batch_arrives_as_it_is_and_is_told_once(
            runs in proptest::collection::vec((0_usize..1_500, 1_usize..70), 1..6),
            segments in any::<bool>(),
        ) {
            let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
            sink.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut socket = Socket::connect(sink.local_addr().unwrap(), segments).unwrap();
            let sizes: Vec<usize> = runs
                .iter()
                .flat_map(|(size, times)| std::iter::repeat_n(*size, *times))
                .take(60)
                .collect();
            let batch = batch(&sizes);
            let mut told = Vec::new();
            socket.send(&batch, true, |some, what| {
                assert_eq!(what, Ok(()));
                told.extend(some);
            });
            prop_assert_eq!(told, (0..sizes.len()).collect::<Vec<_>>());
            let mut buffer = [0; 2_000];
            for (nth, size) in sizes.iter().enumerate() {
                let len = sink.recv(&mut buffer).unwrap();
                prop_assert_eq!(len, *size);
                prop_assert!(buffer[..len].iter().all(|byte| *byte == nth as u8));
            }
        }
    }

    #[test]
    fn a_refusal_costs_one_datagram_and_is_told() {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut socket = Socket::connect(gone.local_addr().unwrap(), true).unwrap();
        drop(gone);
        let mut all = Vec::new();
        for _ in 0..3 {
            socket.send(&batch(&[3]), false, |some, what| {
                all.push((some, what));
            });
        }
        assert_eq!(
            all,
            [
                (0..1, Ok(())),
                (0..1, Err(Errno::CONNREFUSED)),
                (0..1, Ok(()))
            ]
        );
        socket.take_refused();
        assert_eq!(socket.came_back(), 2);
    }

    #[test]
    fn what_is_too_long_is_told_and_the_rest_leaves() {
        let sink = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut socket = Socket::connect(sink.local_addr().unwrap(), true).unwrap();
        let mut all = Vec::new();
        socket.send(&batch(&[10, 65_530, 20]), false, |some, what| {
            all.push((some, what));
        });
        let failed: Vec<_> = all.iter().filter(|(_, what)| what.is_err()).collect();
        assert_eq!(failed, [&(1..2, Err(Errno::MSGSIZE))]);
        assert_eq!(all.iter().map(|(some, _)| some.len()).sum::<usize>(), 3);
    }
}
