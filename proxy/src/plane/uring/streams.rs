//! What is received of each socket: one read at a time, or as it comes.
//!
//! Asking for each read costs the kernel a request to set up, to wait with and to take
//! down, which is a twentieth of all that a small message costs. So a socket whose reads
//! are small gets a receive that stays (multishot), and the session's calls only say that
//! it is ready for the next. A staying receive takes no notice of back-pressure: what
//! comes unasked is kept, and if too much does, the receive is taken back and the socket
//! is asked one read at a time again, as it is in the beginning and for bulk.

use std::collections::VecDeque;
use std::os::fd::RawFd;

use rustix::io::Errno;

use crate::plane::driver::{CHUNK_BYTES, Owner, Received};

/// Small reads in a row after which a receive stays. A connection that is opened for one
/// message never gets there, and need not have it taken back.
const SMALL_READS: u8 = 4;

/// Reads that may come unasked before the receive is taken back: the session is not
/// keeping up, or does not want to.
const KEPT_READS: usize = 2;

/// Generations are counted in this many bits.
const GENERATION_MASK: u32 = 0xff_ffff;

/// What is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Armed {
    #[default]
    No,
    /// One read.
    Once,
    /// Reads until it is taken back.
    Staying,
    /// That, and it is being taken back.
    Leaving,
}

/// One socket.
#[derive(Debug, Default)]
struct Stream {
    /// Tells the completions of this socket from those of the one that had its place.
    generation: u32,
    fd: RawFd,
    armed: Armed,
    /// The session waits for a read.
    wanted: bool,
    /// The session does not want that read any more.
    canceled: bool,
    small_reads: u8,
    kept: VecDeque<Result<Received, Errno>>,
}

/// What the driver has to do.
#[derive(Debug)]
pub(super) enum Order {
    Nothing,
    /// Submit a receive, staying or not.
    Arm {
        fd: RawFd,
        staying: bool,
    },
    /// Take the receive of this generation back.
    TakeBack {
        generation: u32,
    },
    /// Report this to the session.
    Report(Result<Received, Errno>),
}

/// Every socket of every session.
#[derive(Debug, Default)]
pub(super) struct Streams(Vec<Stream>);

impl Streams {
    fn get(&mut self, owner: Owner) -> &mut Stream {
        let at = owner.session as usize * 2 + owner.side as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, Stream::default);
        }
        &mut self.0[at]
    }

    /// The generation that completions of this socket carry now.
    pub(super) fn generation(&mut self, owner: Owner) -> u32 {
        self.get(owner).generation
    }

    /// Whether nothing is in flight or kept.
    pub(super) fn is_idle(&mut self, owner: Owner) -> bool {
        let stream = self.get(owner);
        stream.armed == Armed::No && stream.kept.is_empty()
    }

    /// The session wants the next read.
    pub(super) fn want(&mut self, owner: Owner, fd: RawFd) -> Order {
        let stream = self.get(owner);
        stream.fd = fd;
        if let Some(read) = stream.kept.pop_front() {
            return Order::Report(read);
        }
        stream.wanted = true;
        if stream.armed != Armed::No {
            return Order::Nothing;
        }
        let staying = stream.small_reads >= SMALL_READS;
        stream.armed = if staying { Armed::Staying } else { Armed::Once };
        Order::Arm { fd, staying }
    }

    /// The session does not want it any more.
    pub(super) fn unwant(&mut self, owner: Owner) -> Order {
        let stream = self.get(owner);
        if !stream.wanted {
            return Order::Nothing;
        }
        stream.canceled = true;
        Self::take_back(stream)
    }

    fn take_back(stream: &mut Stream) -> Order {
        match stream.armed {
            Armed::Once => {}
            Armed::Staying => stream.armed = Armed::Leaving,
            Armed::No | Armed::Leaving => return Order::Nothing,
        }
        Order::TakeBack {
            generation: stream.generation,
        }
    }

    /// The socket is closed. What was kept of it is returned, for its chunks.
    pub(super) fn close(&mut self, owner: Owner) -> (Order, VecDeque<Result<Received, Errno>>) {
        let stream = self.get(owner);
        let order = Self::take_back(stream);
        let generation = stream.generation.wrapping_add(1) & GENERATION_MASK;
        let closed = std::mem::take(stream);
        stream.generation = generation;
        (order, closed.kept)
    }

    /// Whether a completion of this generation belongs to the socket that is there now.
    pub(super) fn is_current(&mut self, owner: Owner, generation: u32) -> bool {
        self.get(owner).generation == generation
    }

    /// A read has ended; `more` of the same receive will come.
    pub(super) fn landed(
        &mut self,
        owner: Owner,
        read: Result<Received, Errno>,
        more: bool,
    ) -> Order {
        let stream = self.get(owner);
        let stayed = matches!(stream.armed, Armed::Staying | Armed::Leaving);
        if !more {
            stream.armed = Armed::No;
        }
        if let Ok(Received::Data { len, .. }) = read {
            let small = len < CHUNK_BYTES;
            stream.small_reads = if small {
                stream.small_reads.saturating_add(1)
            } else {
                0
            };
        }
        if stayed && matches!(read, Err(Errno::CANCELED | Errno::NOBUFS)) {
            return Self::left(stream, read);
        }
        if stream.wanted {
            stream.wanted = false;
            stream.canceled &= more;
            return Order::Report(read);
        }
        stream.kept.push_back(read);
        if stream.kept.len() < KEPT_READS {
            return Order::Nothing;
        }
        stream.small_reads = 0;
        Self::take_back(stream)
    }

    /// A staying receive is no more, though nothing is wrong with the socket.
    fn left(stream: &mut Stream, why: Result<Received, Errno>) -> Order {
        let canceled = std::mem::take(&mut stream.canceled);
        if !stream.wanted {
            return Order::Nothing;
        }
        if canceled || matches!(why, Err(Errno::NOBUFS)) {
            stream.wanted = false;
            return Order::Report(why);
        }
        // It was taken back because the session did not keep up; now it asks again.
        stream.armed = Armed::Once;
        Order::Arm {
            fd: stream.fd,
            staying: false,
        }
    }
}
