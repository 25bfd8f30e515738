//! `corrupt`: bits are flipped.
//!
//! On TCP each byte has its own chance, by its offset; `at` names one byte of each
//! connection instead. On UDP each datagram has a chance, and one of its bits is flipped.

use bytes::{Bytes, BytesMut};

use super::{Filter, Filtered, Queue};
use crate::attributes::{Attribute, Attributes};
use crate::decision::purpose::{BIT, CORRUPT};
use crate::evidence::Context;
use crate::item::{Item, Medium, Segment};
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "corrupt",
    about: "flip a bit in a share of the bytes of a stream, or of the datagrams",
    fits: Fits::Both,
    attributes: &[
        Attribute::share("rate", 0.0, "share of the bytes, or of the datagrams"),
        Attribute::count(
            "at",
            "flip a bit in this byte (from 1) of each stream; 0: none",
        ),
    ],
    acts: Acts::OnTraffic(|attributes, _| Filtered::stage(Corrupt::new(attributes))),
};

#[derive(Debug)]
struct Corrupt {
    rate: f64,
    at: u64,
}

impl Corrupt {
    fn new(attributes: &Attributes) -> Self {
        Self {
            rate: attributes.share("rate"),
            at: attributes.whole("at"),
        }
    }

    /// The places in a segment that are to be changed, with the bit.
    fn places(&self, segment: &Segment, context: &Context<'_>) -> Vec<(usize, u8)> {
        let draws = context.draws;
        if context.medium == Medium::Datagram {
            let number = segment.offset;
            let is_chosen = draws.unit(number, CORRUPT) < self.rate || self.at == number + 1;
            if segment.bytes.is_empty() || !is_chosen {
                return Vec::new();
            }
            let most = segment.bytes.len() as u64 * 8 - 1;
            let bit = draws.up_to(number, BIT, most);
            let place = usize::try_from(bit / 8).expect("within the datagram");
            return vec![(place, (bit % 8) as u8)];
        }
        let at = self.at;
        let is_chosen = |offset| {
            at == offset + 1 || (self.rate > 0.0 && draws.unit(offset, CORRUPT) < self.rate)
        };
        (0..segment.bytes.len())
            .map(|place| (place, segment.offset + place as u64))
            .filter(|(_, offset)| is_chosen(*offset))
            .map(|(place, offset)| (place, draws.up_to(offset, BIT, 7) as u8))
            .collect()
    }
}

impl Filter for Corrupt {
    fn pass(&mut self, item: Item, out: &mut Queue, context: &mut Context<'_>) {
        let Item::Data(mut segment) = item else {
            out.push(item);
            return;
        };
        let places = self.places(&segment, context);
        if !places.is_empty() {
            let mut bytes = BytesMut::from(&segment.bytes[..]);
            for (place, bit) in places {
                bytes[place] ^= 1 << bit;
                // Of a stream, where in the segment it lies is chance of the chunks.
                let (offset, value) = match context.medium {
                    Medium::Stream => (segment.offset + place as u64, u64::from(bit)),
                    Medium::Datagram => (segment.offset, (place as u64) * 8 + u64::from(bit)),
                };
                context.hit(offset, 1, "flip_bit", value);
            }
            segment.bytes = Bytes::from(bytes);
        }
        out.push(Item::Data(segment));
    }

    fn update(&mut self, attributes: &Attributes) {
        *self = Self::new(attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, data};
    use super::*;

    fn bytes(bench: &mut Bench) -> Vec<u8> {
        let items = bench.items();
        let parts = items.iter().map(|item| match item {
            Item::Data(segment) => segment.bytes.to_vec(),
            other => panic!("{other:?}"),
        });
        parts.collect::<Vec<_>>().concat()
    }

    #[test]
    fn the_same_bytes_are_hit_however_they_came() {
        let text = "0".repeat(100_000);
        let mut whole = Bench::new(&KIND, r#"{"rate":0.01}"#);
        whole.feed(data(&text, 0));
        let mut parts = Bench::new(&KIND, r#"{"rate":0.01}"#);
        for i in 0..100 {
            parts.feed(data(&text[..1000], i * 1000));
        }
        let (whole_bytes, part_bytes) = (bytes(&mut whole), bytes(&mut parts));
        assert_eq!(whole_bytes, part_bytes);
        let wrong = whole_bytes.iter().filter(|byte| **byte != b'0').count();
        assert!((840..=1160).contains(&wrong), "{wrong}");
        assert_eq!(whole.counters().hits, wrong as u64);
    }

    #[test]
    fn one_byte_by_its_place() {
        let mut bench = Bench::new(&KIND, r#"{"at":3}"#);
        bench.feed(data("00", 0));
        bench.feed(data("00", 2));
        let got = bytes(&mut bench);
        assert_eq!((&got[..2], got[3]), (&b"00"[..], b'0'));
        assert_eq!((got[2] ^ b'0').count_ones(), 1);
    }

    #[test]
    fn one_bit_of_each_datagram() {
        let mut bench = Bench::datagrams(&KIND, r#"{"rate":1}"#);
        for i in 0..100 {
            bench.feed(data("00000000", i));
            let flipped: u32 = bytes(&mut bench)
                .iter()
                .map(|b| (b ^ b'0').count_ones())
                .sum();
            assert_eq!(flipped, 1);
        }
    }
}
