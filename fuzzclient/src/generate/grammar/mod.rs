//! Messages of valid shape with hostile content.

mod tcp;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::Protocol;
use super::hostile::{self, INTEGERS, once_in, one_of, word};
use super::messages::Messages;

/// Types of a Foo message, and what is almost one.
const FOO_TYPES: [&str; 10] = [
    "REQ", "REQ", "REQ", "REQ", "ACK", "NAK", "req", "REQQ", "RE", "",
];

/// What may stand between two fields.
const FOO_GAPS: [&str; 6] = [" ", " ", " ", "  ", "\t", " \t "];

/// How a line may end.
const ENDS: [&str; 6] = ["\n", "\n", "\n", "\r\n", " \n", "\n\n"];

/// Types of a metric, and what is almost one.
const METRIC_TYPES: [&str; 10] = ["c", "g", "ms", "s", "h", "d", "C", "", "mss", "c|c"];

/// Messages whose shape is right, without end.
pub(crate) struct Grammar {
    rng: Xoshiro256PlusPlus,
    protocol: Protocol,
    seq: u64,
}

impl Grammar {
    /// The messages that `rng` gives.
    pub(crate) fn new(rng: Xoshiro256PlusPlus, protocol: Protocol) -> Self {
        Self {
            rng,
            protocol,
            seq: 0,
        }
    }

    fn foo(&mut self, out: &mut Vec<u8>) {
        let rng = &mut self.rng;
        self.seq += 1;
        out.extend_from_slice(one_of(rng, &FOO_TYPES).as_bytes());
        out.extend_from_slice(one_of(rng, &FOO_GAPS).as_bytes());
        if once_in(rng, 2) {
            out.extend_from_slice(self.seq.to_string().as_bytes());
        } else {
            out.extend_from_slice(one_of(rng, &INTEGERS).as_bytes());
        }
        if !once_in(rng, 6) {
            out.extend_from_slice(one_of(rng, &FOO_GAPS).as_bytes());
            data(rng, out);
        }
        if once_in(rng, 16) {
            out.extend_from_slice(b" one too many");
        }
        out.extend_from_slice(one_of(rng, &ENDS).as_bytes());
    }

    fn metric(&mut self, out: &mut Vec<u8>) {
        let rng = &mut self.rng;
        data(rng, out);
        out.push(b':');
        if once_in(rng, 3) {
            hostile::content(rng, out);
        } else {
            out.extend_from_slice(one_of(rng, &INTEGERS).as_bytes());
        }
        out.push(b'|');
        out.extend_from_slice(one_of(rng, &METRIC_TYPES).as_bytes());
        if once_in(rng, 3) {
            out.extend_from_slice(b"|@");
            out.extend_from_slice(one_of(rng, &INTEGERS).as_bytes());
        }
        if once_in(rng, 3) {
            out.extend_from_slice(b"|#");
            hostile::content(rng, out);
        }
        out.extend_from_slice(one_of(rng, &ENDS).as_bytes());
    }
}

/// A field that may hold anything.
fn data(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    if once_in(rng, 3) {
        let len = rng.random_range(1..=32);
        word(rng, len, out);
    } else {
        hostile::content(rng, out);
    }
}

impl Messages for Grammar {
    fn next(&mut self, out: &mut Vec<u8>) -> &'static str {
        match self.protocol {
            Protocol::Foo => self.foo(out),
            Protocol::Statsd => self.metric(out),
            Protocol::Tcp => tcp::message(&mut self.rng, out),
        }
        "grammar"
    }
}
