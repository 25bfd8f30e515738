//! Valid messages, to begin with: written here by hand, since a codec could not be trusted
//! to write what it would refuse to read.

mod tcp;

pub(in crate::generate) use tcp::V2_SIGNATURE;

use std::sync::Arc;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::Protocol;
use super::corpus::Corpus;
use super::hostile::{one_of, word};

/// Words that metrics are named after.
const NAMES: [&str; 6] = [
    "api.requests",
    "db.time",
    "cpu",
    "users.online",
    "a",
    "web-1.disk_free",
];

/// Types of metric.
const TYPES: [&str; 5] = ["c", "ms", "g", "s", "h"];

/// Makes valid messages of one protocol, or takes those of a corpus.
pub(crate) struct Valid {
    protocol: Protocol,
    corpus: Option<Arc<Corpus>>,
    seq: u64,
}

impl Valid {
    pub(crate) fn new(protocol: Protocol, corpus: Option<Arc<Corpus>>) -> Self {
        let corpus = corpus.filter(|corpus| !corpus.messages().is_empty());
        Self {
            protocol,
            corpus,
            seq: 0,
        }
    }

    /// Appends a message.
    pub(crate) fn next(&mut self, rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
        // A corpus is somebody's choice, and yet not all that the protocol knows.
        if let Some(corpus) = &self.corpus
            && rng.random_range(0..8) > 0
        {
            let messages = corpus.messages();
            out.extend_from_slice(corpus.message(rng.random_range(0..messages.len())));
            return;
        }
        match self.protocol {
            Protocol::Foo => {
                self.seq += 1;
                out.extend_from_slice(format!("REQ {} ", self.seq).as_bytes());
                let len = rng.random_range(14..=32);
                word(rng, len, out);
                out.push(b'\n');
            }
            Protocol::Tcp => tcp::message(rng, out),
            Protocol::Statsd => metric(rng, out),
        }
    }
}

fn metric(rng: &mut Xoshiro256PlusPlus, out: &mut Vec<u8>) {
    let (name, kind) = (one_of(rng, &NAMES), one_of(rng, &TYPES));
    let value = rng.random_range(0..100_000);
    let mut line = format!("{name}:{value}|{kind}");
    if rng.random_range(0..4) == 0 {
        line.push_str("|@0.1");
    }
    if rng.random_range(0..4) == 0 {
        line.push_str("|#host:a,zone:b");
    }
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}
