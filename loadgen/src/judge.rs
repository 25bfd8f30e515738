//! Reading replies and knowing the right ones: the three grades of `--verify`.

use std::sync::Arc;

use protocol::foo::{Answer, Kind, Malformed, Message};
use serde::Serialize;

use crate::payload::Payload;
use crate::tally::Failure;
use crate::tracker::{Judge, Reply};

/// Connections whose requests are tried to tell a misrouted answer from a corrupted one.
const OTHERS_TRIED: u32 = 2_048;

/// Wrong answers of a worker that are looked into. Past that the load must go on, and
/// they count as corrupted.
const SEARCHES: u32 = 10_000;

/// How closely replies are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Right sequence number, in order: what any Foo server keeps.
    #[default]
    Seq,
    /// Exactly the answer of the reference server, digest and all.
    Digest,
    /// Any ACK or NAK answers the oldest request.
    None,
}

/// Makes a reply of a line that was read.
#[inline]
#[must_use]
pub fn reply_of<'a>(message: Result<Message<'a>, Malformed>) -> Reply<'a> {
    match message {
        Ok(Message {
            kind: Kind::Nak,
            seq: 0,
            data: b"ERRDECODE",
        }) => Reply::Wrong(Failure::ErrDecode),
        Ok(Message {
            kind: kind @ (Kind::Ack | Kind::Nak),
            seq,
            data,
        }) => Reply::Answer {
            naked: kind == Kind::Nak,
            seq,
            data,
        },
        Ok(_) | Err(_) => Reply::Wrong(Failure::Corrupted),
    }
}

/// Judges the replies of one connection at a time.
#[derive(Debug)]
pub struct Replies {
    verify: Verify,
    payload: Arc<Payload>,
    connection: u32,
    connections: u32,
    scratch: Vec<u8>,
    searches_left: u32,
}

impl Replies {
    /// A judge of replies to requests that carry data of `payload`.
    #[must_use]
    pub fn new(verify: Verify, payload: Arc<Payload>) -> Self {
        Self {
            verify,
            payload,
            connection: 0,
            connections: 0,
            scratch: Vec::with_capacity(256),
            searches_left: SEARCHES,
        }
    }

    /// What requests carry.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The replies that follow are those of connection number `connection`; all
    /// connections of the run have numbers below `connections`, as far as is known.
    pub fn turn_to(&mut self, connection: u32, connections: u32) {
        self.connection = connection;
        self.connections = connections;
    }

    fn is_answer(&mut self, connection: u32, seq: u64, reply: &Reply<'_>) -> bool {
        let Reply::Answer { naked, data, .. } = reply else {
            return false;
        };
        self.scratch.clear();
        self.payload.write(connection, seq, &mut self.scratch);
        let right = Answer::to(seq.cast_signed(), &self.scratch);
        (right.kind == Kind::Nak) == *naked && right.digits == *data
    }
}

impl Judge for Replies {
    #[inline]
    fn takes_anything(&self) -> bool {
        self.verify == Verify::None
    }

    #[inline]
    fn is_right(&mut self, seq: u64, reply: &Reply<'_>) -> bool {
        self.verify != Verify::Digest || self.is_answer(self.connection, seq, reply)
    }

    #[cold]
    fn is_of_another(&mut self, reply: &Reply<'_>) -> bool {
        let Reply::Answer { seq, .. } = *reply else {
            return false;
        };
        if self.verify != Verify::Digest || self.searches_left == 0 || seq < 1 {
            return false;
        }
        self.searches_left -= 1;
        let own = self.connection;
        let newest_first = (0..self.connections).rev().take(OTHERS_TRIED as usize);
        let mut others = newest_first.filter(|other| *other != own);
        others.any(|other| self.is_answer(other, seq.cast_unsigned(), reply))
    }
}
