//! What has come back from the ring, and what it means.
#![expect(unsafe_code, reason = "an accepted descriptor comes as a number")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use io_uring::cqueue;
use rustix::io::Errno;

use super::Uring;
use super::operation::{Op, unpack};
use super::streams::Order;
use crate::plane::driver::{Chunk, Completion, Owner, Ready, Received};

impl Uring {
    /// Appends what is done: first the try sends, which free buffers, then the receives
    /// that found none, so that they are first in line for those.
    pub(super) fn reap(&mut self, done: &mut Vec<Completion>, all_submitted: bool) {
        let first = done.len();
        done.append(&mut self.kept);
        self.drain_queue(done);
        while self.ring.submission().cq_overflow() {
            // What did not fit waits in the kernel. It may hold the failure of a try.
            let _ = self.ring.submit();
            self.drain_queue(done);
        }
        self.scarce = !self.refused.is_empty();
        let refused = self.refused.drain(..);
        let refused = refused.map(|owner| Completion::Received(owner, Err(Errno::NOBUFS)));
        done.splice(first..first, refused);
        if all_submitted && !self.tried.is_empty() {
            let failed = std::mem::take(&mut self.tried_and_failed);
            let tries = self.tried.drain(..).map(|(owner, len)| {
                let said = failed.iter().find(|(other, _)| *other == owner);
                let outcome = match said {
                    None => Ok(len),
                    Some((_, code)) if *code < 0 => Err(Errno::from_raw_os_error(-code)),
                    Some((_, sent)) => Ok(*sent as usize),
                };
                Completion::Sent(owner, outcome)
            });
            done.splice(first..first, tries);
        }
    }

    fn drain_queue(&mut self, done: &mut Vec<Completion>) {
        let mut watching = true;
        self.ring.completion().sync();
        loop {
            let Some(entry) = self.ring.completion().next() else {
                break;
            };
            let (op, owner, generation) = unpack(entry.user_data());
            let outcome = match entry.result() {
                code if code < 0 => Err(Errno::from_raw_os_error(-code)),
                value => Ok(value as usize),
            };
            match op {
                Op::SendTry => self.tried_and_failed.push((owner, entry.result())),
                Op::SendWait => done.push(Completion::Sent(owner, outcome)),
                Op::PollRead => done.push(Completion::Polled(owner, Ready::Read)),
                Op::PollWrite => done.push(Completion::Polled(owner, Ready::Write)),
                Op::Receive => done.extend(self.received(owner, generation, &entry)),
                Op::Connect => done.push(Completion::Connected(owner.session, outcome.map(drop))),
                Op::Accept => {
                    self.accepting = false;
                    // SAFETY: the kernel has just made this descriptor for us.
                    let fd = outcome.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) });
                    done.push(Completion::Accepted(fd));
                }
                Op::Wake => {
                    watching = cqueue::more(entry.flags());
                    done.push(Completion::Woken);
                }
                Op::Silent => {}
            }
        }
        if !watching {
            self.watch_waker();
        }
    }

    /// A receive has brought something.
    fn received(
        &mut self,
        owner: Owner,
        generation: u32,
        entry: &cqueue::Entry,
    ) -> Option<Completion> {
        let buffer = cqueue::buffer_select(entry.flags()).map(Chunk);
        let read = match (entry.result(), buffer) {
            (len @ 1.., Some(chunk)) if self.streams.is_current(owner, generation) => {
                let more = cqueue::sock_nonempty(entry.flags());
                let len = len as usize;
                let chunk = if self.streams.is_wanted(owner) {
                    chunk
                } else {
                    Chunk(self.buffers.park(chunk.0, len))
                };
                Ok(Received::Data { chunk, len, more })
            }
            (code, buffer) => {
                // A buffer may have been picked before the end was seen, or for a socket
                // that is closed.
                if let Some(Chunk(buffer)) = buffer {
                    self.buffers.give_back(buffer);
                }
                if !self.streams.is_current(owner, generation) {
                    return None;
                }
                match code {
                    code if code < 0 => Err(Errno::from_raw_os_error(-code)),
                    _ => Ok(Received::End),
                }
            }
        };
        let more = cqueue::more(entry.flags());
        match self.streams.landed(owner, read, more) {
            Order::Report(Err(Errno::NOBUFS)) => {
                self.refused.push(owner);
                None
            }
            Order::Report(read) => Some(Completion::Received(owner, read)),
            order => {
                self.obey(owner, false, order);
                None
            }
        }
    }
}
