//! Handing answers to the system.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use eventloop::datagram::{self, Receiver};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::datagrams::BATCH;
use crate::udp::answers::Answer;

/// How long a socket without room is waited for. Over loopback there always is room.
const PATIENCE: Duration = Duration::from_millis(100);

/// Sends, and counts what left.
pub(super) struct Outgoing {
    sender: datagram::Sender,
    pub(super) counts: Sent,
}

/// What became of answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) answers: u64,
    pub(super) bytes: u64,
    pub(super) not_sent: u64,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self {
            sender: datagram::Sender::new(BATCH),
            counts: Sent::default(),
        }
    }

    /// Sends every datagram of `batch` back as it is.
    pub(super) fn echo(&mut self, fd: &OwnedFd, batch: &Receiver) {
        self.send(fd, || {
            let datagrams = batch.datagrams();
            datagrams.filter_map(|one| Some((one.bytes, one.from?)))
        });
    }

    /// Sends some answers.
    pub(super) fn answer(&mut self, fd: &OwnedFd, answers: &[Answer]) {
        self.send(fd, || {
            answers
                .iter()
                .map(|answer| (answer.bytes.as_slice(), answer.to))
        });
    }

    /// Sends all that `datagrams` gives, which gives the same again when it is asked again.
    fn send<'a, I>(&mut self, fd: &OwnedFd, datagrams: impl Fn() -> I)
    where
        I: Iterator<Item = (&'a [u8], SocketAddr)>,
    {
        let (mut at, mut waited) = (0, false);
        loop {
            match self.sender.send_to(fd, datagrams().skip(at)) {
                Ok(0) => return,
                Ok(sent) => {
                    let bytes = datagrams()
                        .skip(at)
                        .take(sent)
                        .map(|(bytes, _)| bytes.len());
                    self.counts.bytes += bytes.sum::<usize>() as u64;
                    self.counts.answers += sent as u64;
                    at += sent;
                    waited = false;
                }
                Err(Errno::AGAIN) if !waited => {
                    waited = true;
                    let mut fds = [PollFd::new(fd, PollFlags::OUT)];
                    let patience = PATIENCE.try_into().expect("100 ms are few");
                    let _ = poll(&mut fds, Some(&patience));
                }
                Err(_) => {
                    self.counts.not_sent += 1;
                    at += 1;
                }
            }
        }
    }
}
