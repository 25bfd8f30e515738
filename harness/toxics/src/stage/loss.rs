//! `packet_loss` and `loss`: some of it never arrives.
//!
//! With a correlation, what follows a loss is more likely lost, and what follows a pass
//! more likely passes, so that losses come in bursts while their share stays: the chance
//! after a loss is p + c (1 - p), after a pass p (1 - c).
//!
//! A stream knows no packets: it is divided into blocks of `grain` bytes from its first
//! byte on, and each block is lost or passes as a whole, however its bytes came.

use super::blocks::{GRAIN, blocks};
use super::{Filter, Filtered, Queue, Stage};
use crate::attributes::{Attribute, Attributes};
use crate::decision::purpose::LOSS as CHANCE;
use crate::evidence::Context;
use crate::item::{Item, Medium, Segment};
use crate::toxic::{Acts, Fits, Kind};

const RATE: Attribute = Attribute::share("loss_rate", 0.0, "share that is lost");
const CORRELATION: Attribute =
    Attribute::share("correlation", 0.0, "how much a loss follows a loss");

/// The kind of the original, which may be on a TCP link too.
pub static PACKET_LOSS: Kind = Kind {
    name: "packet_loss",
    about: "lose a share of the datagrams; on TCP, of blocks of bytes, which corrupts the stream",
    fits: Fits::Both,
    attributes: &[RATE, CORRELATION, GRAIN],
    acts: Acts::OnTraffic(|attributes, _| make(attributes, attributes.whole("grain"))),
};

/// The kind for datagrams.
pub static LOSS: Kind = Kind {
    name: "loss",
    about: "lose a share of the datagrams",
    fits: Fits::Datagram,
    attributes: &[RATE, CORRELATION],
    acts: Acts::OnTraffic(|attributes, _| make(attributes, 1)),
};

fn make(attributes: &Attributes, grain: u64) -> Box<dyn Stage> {
    Filtered::stage(Loss {
        rate: attributes.share("loss_rate"),
        correlation: attributes.share("correlation"),
        grain,
        last: None,
    })
}

#[derive(Debug)]
struct Loss {
    rate: f64,
    correlation: f64,
    grain: u64,
    /// The last datagram or block, and whether it was lost.
    last: Option<(u64, bool)>,
}

impl Loss {
    /// Whether what begins at `key` is lost: decided when it is first seen.
    fn is_lost(&mut self, key: u64, bytes: usize, context: &mut Context<'_>) -> bool {
        let chance = match self.last {
            Some((last, is_lost)) if last == key => {
                if is_lost {
                    context.more(bytes);
                }
                return is_lost;
            }
            None => self.rate,
            Some((_, true)) => self.rate + self.correlation * (1.0 - self.rate),
            Some((_, false)) => self.rate * (1.0 - self.correlation),
        };
        let is_lost = context.draws.unit(key, CHANCE) < chance;
        self.last = Some((key, is_lost));
        if is_lost {
            context.hit(key, bytes, "lose", 0);
        }
        is_lost
    }
}

impl Filter for Loss {
    fn pass(&mut self, item: Item, out: &mut Queue, context: &mut Context<'_>) {
        let Item::Data(mut segment) = item else {
            out.push(item);
            return;
        };
        if context.medium == Medium::Datagram {
            if !self.is_lost(segment.offset, segment.bytes.len(), context) {
                out.push(Item::Data(segment));
            }
            return;
        }
        let mut passes = 0;
        for (start, len) in blocks(&segment, self.grain) {
            if self.is_lost(start, len, context) {
                give(segment.split_to(passes), out);
                drop(segment.split_to(len));
                passes = 0;
            } else {
                passes += len;
            }
        }
        give(segment, out);
    }

    fn update(&mut self, attributes: &Attributes) {
        self.rate = attributes.share("loss_rate");
        self.correlation = attributes.share("correlation");
    }
}

fn give(segment: Segment, out: &mut Queue) {
    if !segment.bytes.is_empty() {
        out.push(Item::Data(segment));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, data};
    use super::*;

    #[test]
    fn the_share_stays_and_the_bursts_grow_with_correlation() {
        let n = 50_000_u64;
        let mut runs = Vec::new();
        for correlation in ["0", "0.5"] {
            let attributes = format!(r#"{{"loss_rate":0.2,"correlation":{correlation}}}"#);
            let mut bench = Bench::datagrams(&LOSS, &attributes);
            let passed: Vec<bool> = (0..n)
                .map(|i| {
                    bench.feed(data("x", i));
                    !bench.text().is_empty()
                })
                .collect();
            let lost = passed.iter().filter(|passed| !**passed).count() as f64;
            // Seven standard deviations of the correlated series.
            assert!((lost / n as f64 - 0.2).abs() < 0.022, "{lost}");
            assert_eq!(bench.counters().hits, lost as u64);
            let starts = passed.windows(2).filter(|w| w[0] && !w[1]).count();
            runs.push(lost / starts as f64);
        }
        assert!(runs[1] > 1.5 * runs[0], "{runs:?}");
    }

    #[test]
    fn the_same_blocks_of_a_stream_are_lost_however_its_bytes_came() {
        let text: String = (0..50_000_u32)
            .map(|i| char::from(b'a' + (i % 25) as u8))
            .collect();
        let outcome = |chunk: usize| {
            let attributes = r#"{"loss_rate":0.3,"correlation":0.5,"grain":100}"#;
            let mut bench = Bench::new(&PACKET_LOSS, attributes);
            for (i, part) in text.as_bytes().chunks(chunk).enumerate() {
                bench.feed(data(std::str::from_utf8(part).unwrap(), (i * chunk) as u64));
            }
            let counts = bench.counters();
            (bench.text(), counts.hits, counts.bytes)
        };
        let whole = outcome(50_000);
        assert_eq!(whole.0.len() as u64 + whole.2, 50_000);
        assert_eq!(whole.2, whole.1 * 100);
        for chunk in [1, 7, 100, 333, 4096] {
            assert!(outcome(chunk) == whole, "in chunks of {chunk}");
        }
    }

    #[test]
    fn the_bounds_are_exact_and_ends_are_never_lost() {
        for (rate, expected) in [("0", "x[End]"), ("1", "[End]")] {
            let mut bench = Bench::new(&PACKET_LOSS, &format!(r#"{{"loss_rate":{rate}}}"#));
            bench.feed(data("x", 0));
            bench.feed(Item::End);
            assert_eq!(bench.text(), expected);
        }
    }
}
