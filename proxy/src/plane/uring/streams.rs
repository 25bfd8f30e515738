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

    /// Whether the session waits for a read; else it is kept.
    pub(super) fn is_wanted(&mut self, owner: Owner) -> bool {
        self.get(owner).wanted
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
            let small = len < CHUNK_BYTES / 2;
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
            stream.canceled = false;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plane::driver::{Chunk, Side};

    const OWNER: Owner = Owner {
        session: 3,
        side: Side::Upstream,
    };

    /// What may happen next, as far as it can.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Want,
        Unwant,
        /// The kernel has this many bytes.
        Bytes(usize),
        /// The kernel has no buffer.
        NoBuffer,
        /// What was taken back comes back.
        Canceled,
    }

    /// A session and a kernel around the table.
    #[derive(Default)]
    struct World {
        streams: Streams,
        /// What is in flight in the kernel, and whether it stays.
        armed: Option<bool>,
        taken_back: bool,
        wanted: bool,
        unwanted: bool,
        brought: Vec<usize>,
        reported: Vec<usize>,
    }

    impl World {
        fn obey(&mut self, order: Order) {
            match order {
                Order::Nothing => {}
                Order::Arm { fd, staying } => {
                    assert_eq!(fd, 7);
                    assert!(self.armed.is_none(), "one receive at a time");
                    self.armed = Some(staying);
                    self.taken_back = false;
                }
                Order::TakeBack { generation } => {
                    assert_eq!(generation, self.streams.generation(OWNER));
                    assert!(self.armed.is_some(), "what is taken back is in flight");
                    self.taken_back = true;
                }
                Order::Report(read) => {
                    assert!(std::mem::take(&mut self.wanted), "nothing comes unasked");
                    match read {
                        Ok(Received::Data { len, .. }) => self.reported.push(len),
                        Err(Errno::CANCELED) => assert!(self.unwanted, "nobody canceled"),
                        Err(Errno::NOBUFS) => {}
                        other => panic!("{other:?}"),
                    }
                    self.unwanted = false;
                }
            }
        }

        fn land(&mut self, read: Result<Received, Errno>) {
            let staying = self.armed == Some(true);
            let more = staying && read.is_ok();
            if !more {
                self.armed = None;
            }
            let order = self.streams.landed(OWNER, read, more);
            self.obey(order);
        }

        fn step(&mut self, step: Step) {
            match step {
                Step::Want if !self.wanted => {
                    self.wanted = true;
                    let order = self.streams.want(OWNER, 7);
                    self.obey(order);
                }
                Step::Unwant if self.wanted && !self.unwanted => {
                    self.unwanted = true;
                    let order = self.streams.unwant(OWNER);
                    self.obey(order);
                }
                Step::Bytes(len) if self.armed.is_some() => {
                    self.brought.push(len);
                    let (chunk, more) = (Chunk(0), false);
                    self.land(Ok(Received::Data { chunk, len, more }));
                }
                Step::NoBuffer if self.armed.is_some() => self.land(Err(Errno::NOBUFS)),
                Step::Canceled if self.armed.is_some() && self.taken_back => {
                    self.land(Err(Errno::CANCELED));
                }
                _ => {}
            }
            let is_bound = self.streams.get(OWNER).kept.len() < KEPT_READS || self.taken_back;
            assert!(is_bound, "what comes unasked is bounded");
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Want),
            1 => Just(Step::Unwant),
            4 => (1..100_usize).prop_map(Step::Bytes),
            1 => Just(Step::Bytes(CHUNK_BYTES)),
            1 => Just(Step::NoBuffer),
            2 => Just(Step::Canceled),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: every read is reported once, in order, to
        /// somebody who asked, and asking is never in vain.
        #[test]
        fn every_read_is_reported_once_and_in_order(
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let mut world = World::default();
            for step in steps {
                world.step(step);
            }
            for _ in 0..20 {
                world.step(Step::Canceled);
                world.step(Step::Want);
                if world.reported.len() == world.brought.len() && world.armed.is_some() {
                    break;
                }
            }
            prop_assert_eq!(&world.reported, &world.brought);
            world.step(Step::Canceled);
            world.step(Step::Want);
            prop_assert!(!world.wanted || world.armed.is_some(), "nobody waits for nothing");
        }
    }

    #[test]
    fn small_reads_make_it_stay_and_a_socket_that_is_closed_starts_anew() {
        let mut streams = Streams::default();
        let data = |len| {
            let (chunk, more) = (Chunk(0), false);
            Ok(Received::Data { chunk, len, more })
        };
        for _ in 0..SMALL_READS {
            let order = streams.want(OWNER, 7);
            assert!(
                matches!(order, Order::Arm { staying: false, .. }),
                "{order:?}"
            );
            assert!(matches!(
                streams.landed(OWNER, data(10), false),
                Order::Report(_)
            ));
        }
        let order = streams.want(OWNER, 7);
        assert!(
            matches!(order, Order::Arm { staying: true, .. }),
            "{order:?}"
        );
        assert!(!streams.is_idle(OWNER));
        let generation = streams.generation(OWNER);
        let (order, _) = streams.close(OWNER);
        assert!(matches!(order, Order::TakeBack { generation: g } if g == generation));
        assert!(!streams.is_current(OWNER, generation));
        let order = streams.want(OWNER, 8);
        assert!(
            matches!(
                order,
                Order::Arm {
                    fd: 8,
                    staying: false
                }
            ),
            "{order:?}"
        );
    }
}
