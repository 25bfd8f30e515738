//! Valid messages with something done to them.

use std::sync::Arc;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::Protocol;
use super::corpus::Corpus;
use super::hostile::{self, BYTES, INTEGERS, TEXTS, once_in, one_of};
use super::messages::Messages;
use super::valid::Valid;

/// One message in so many stays valid: a server that keeps state has to get somewhere.
const VALID_ONE_IN: u32 = 4;

/// Mutations of one message at most.
const MOST_MUTATIONS: u32 = 4;

/// One in so many mutations makes the message huge: more would leave room for little else.
const HUGE_ONE_IN: u32 = 64;

/// Bytes that part is taken from when something is repeated or cut: a corpus may have
/// large files, and one repeat must not double them.
const MOST_REPEATED: usize = 256;

/// Mutated messages, without end.
pub(crate) struct Mutate {
    rng: Xoshiro256PlusPlus,
    valid: Valid,
    message: Vec<u8>,
    other: Vec<u8>,
}

impl Mutate {
    /// The messages that `rng` gives.
    pub(crate) fn new(
        rng: Xoshiro256PlusPlus,
        protocol: Protocol,
        corpus: Option<Arc<Corpus>>,
    ) -> Self {
        Self {
            rng,
            valid: Valid::new(protocol, corpus),
            message: Vec::new(),
            other: Vec::new(),
        }
    }

    fn mutate(&mut self) {
        let Self {
            rng,
            valid,
            message,
            other,
        } = self;
        if once_in(rng, HUGE_ONE_IN) {
            return stretch(message, hostile::length(rng), rng);
        }
        match rng.random_range(0..12) {
            0 => flip(message, rng),
            1 => cut(message, rng),
            2 => {
                other.clear();
                valid.next(rng, other);
                let (keep, from) = (place(message, rng), place(other, rng));
                message.truncate(keep);
                message.extend_from_slice(&other[from..]);
            }
            3 => repeat(message, rng),
            4 => swap_fields(message, rng),
            5 | 6 => replace_number(message, rng),
            7 => insert(message, one_of(rng, &BYTES), rng),
            8 => insert(message, one_of(rng, &TEXTS).as_bytes(), rng),
            9 => insert(message, b"\n", rng),
            10 => message.retain(|&byte| byte != b'\n'),
            _ => {
                let byte = [rng.random_range(0..=255_u8)];
                insert(message, &byte, rng);
            }
        }
    }
}

impl Messages for Mutate {
    fn next(&mut self, out: &mut Vec<u8>) -> &'static str {
        self.message.clear();
        self.valid.next(&mut self.rng, &mut self.message);
        let is_valid = once_in(&mut self.rng, VALID_ONE_IN);
        if !is_valid {
            for _ in 0..self.rng.random_range(1..=MOST_MUTATIONS) {
                self.mutate();
            }
        }
        out.extend_from_slice(&self.message);
        if is_valid { "valid" } else { "mutated" }
    }
}

/// A place in the message or at its end.
fn place(message: &[u8], rng: &mut Xoshiro256PlusPlus) -> usize {
    rng.random_range(0..=message.len())
}

/// A short part of it.
fn part(message: &[u8], rng: &mut Xoshiro256PlusPlus) -> std::ops::Range<usize> {
    let start = place(message, rng);
    let len = rng.random_range(0..=(message.len() - start).min(MOST_REPEATED));
    start..start + len
}

fn flip(message: &mut [u8], rng: &mut Xoshiro256PlusPlus) {
    if !message.is_empty() {
        let at = rng.random_range(0..message.len());
        message[at] ^= 1 << rng.random_range(0..8);
    }
}

fn cut(message: &mut Vec<u8>, rng: &mut Xoshiro256PlusPlus) {
    message.drain(part(message, rng));
}

fn repeat(message: &mut Vec<u8>, rng: &mut Xoshiro256PlusPlus) {
    let range = part(message, rng);
    let (end, part) = (range.end, message[range].repeat(rng.random_range(1..=8)));
    message.splice(end..end, part);
}

fn insert(message: &mut Vec<u8>, bytes: &[u8], rng: &mut Xoshiro256PlusPlus) {
    let at = place(message, rng);
    message.splice(at..at, bytes.iter().copied());
}

/// Swaps two neighbours among what spaces, colons and bars separate.
fn swap_fields(message: &mut Vec<u8>, rng: &mut Xoshiro256PlusPlus) {
    let is_between = |byte: &u8| b" :|,=\r\n".contains(byte);
    let mut starts = vec![0];
    starts.extend(
        (0..message.len())
            .filter(|&i| is_between(&message[i]))
            .map(|i| i + 1),
    );
    if starts.len() < 3 {
        return;
    }
    let first = rng.random_range(0..starts.len() - 2);
    let (a, b, c) = (starts[first], starts[first + 1], starts[first + 2]);
    let swapped = [&message[b..c - 1], &message[b - 1..b], &message[a..b - 1]].concat();
    message.splice(a..c - 1, swapped);
}

/// Puts a boundary in the place of a number, or somewhere if there is none.
fn replace_number(message: &mut Vec<u8>, rng: &mut Xoshiro256PlusPlus) {
    let boundary = one_of(rng, &INTEGERS).as_bytes();
    let from = place(message, rng);
    let digit = |byte: &u8| byte.is_ascii_digit();
    let start = message[from..].iter().position(digit).map(|at| from + at);
    let Some(start) = start.or_else(|| message.iter().position(digit)) else {
        return insert(message, boundary, rng);
    };
    let len = message[start..]
        .iter()
        .take_while(|byte| digit(byte))
        .count();
    message.splice(start..start + len, boundary.iter().copied());
}

/// Makes the first line exactly so long, its newline apart.
fn stretch(message: &mut Vec<u8>, len: usize, rng: &mut Xoshiro256PlusPlus) {
    let line = memchr::memchr(b'\n', message).unwrap_or(message.len());
    if line < len {
        let byte = message.get(line.wrapping_sub(1)).copied().unwrap_or(b'A');
        let byte = if once_in(rng, 2) { byte } else { b'A' };
        message.splice(line..line, std::iter::repeat_n(byte, len - line));
    } else {
        message.drain(len..line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::rng;

    #[test]
    fn some_stay_valid_and_every_mutation_is_seen() {
        let mut mutate = Mutate::new(rng(1, 0, 0), Protocol::Foo, None);
        let mut all = Vec::new();
        let mut valid = 0;
        for _ in 0..4_000 {
            valid += usize::from(mutate.next(&mut all) == "valid");
        }
        assert!((800..1_200).contains(&valid), "{valid} of 4,000");
        let has = |needle: &[u8]| memchr::memmem::find(&all, needle).is_some();
        assert!(has(b"\0") && has(b"\xc0\xaf") && has(b"%s%s%s%s%n") && has(b"\r"));
        assert!(has(b"18446744073709551616") && has(b"REQ REQ") && has(b"\n\n"));
        let longest = all.split(|&b| b == b'\n').map(<[u8]>::len).max();
        assert!(longest >= Some(65_535), "{longest:?}");
    }

    #[test]
    fn a_line_is_stretched_or_cut_to_the_byte() {
        let mut rng = rng(1, 0, 0);
        for len in [0, 1, 3, 7, 15, 16, 17, 300] {
            for start in ["", "\n", "REQ 1 abc\n", "REQ 1 abc\nREQ 2 d\n", "none"] {
                let mut message = start.as_bytes().to_vec();
                stretch(&mut message, len, &mut rng);
                let line = message.split(|&b| b == b'\n').next().map(<[u8]>::len);
                assert_eq!(line, Some(len), "{start:?}");
            }
        }
    }

    #[test]
    fn neighbours_change_places() {
        let mut seen = std::collections::BTreeSet::new();
        let mut rng = rng(1, 0, 0);
        for _ in 0..50 {
            let mut message = b"REQ 1 abc\n".to_vec();
            swap_fields(&mut message, &mut rng);
            seen.insert(String::from_utf8(message).unwrap());
        }
        assert!(
            seen.contains("1 REQ abc\n") && seen.contains("REQ abc 1\n"),
            "{seen:?}"
        );
    }
}
