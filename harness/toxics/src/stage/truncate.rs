//! `truncate`: some datagrams arrive cut short.

use super::{Filter, Filtered, Queue};
use crate::attributes::{Attribute, Attributes};
use crate::decision::purpose::TRUNCATE;
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "truncate",
    about: "cut a share of the datagrams short",
    fits: Fits::Datagram,
    attributes: &[
        Attribute::share("rate", 1.0, "share that is cut"),
        Attribute::count("bytes", "bytes that are left"),
    ],
    acts: Acts::OnTraffic(|attributes, _| Filtered::stage(Truncate::new(attributes))),
};

#[derive(Debug)]
struct Truncate {
    rate: f64,
    bytes: u64,
}

impl Truncate {
    fn new(attributes: &Attributes) -> Self {
        Self {
            rate: attributes.share("rate"),
            bytes: attributes.whole("bytes"),
        }
    }
}

impl Filter for Truncate {
    fn pass(&mut self, mut item: Item, out: &mut Queue, context: &mut Context<'_>) {
        if let Item::Data(segment) = &mut item
            && segment.bytes.len() as u64 > self.bytes
            && context.draws.unit(segment.offset, TRUNCATE) < self.rate
        {
            let left = usize::try_from(self.bytes).expect("less than there are");
            let lost = segment.bytes.len() - left;
            context.hit(segment.offset, lost, "cut_to", self.bytes);
            segment.bytes.truncate(left);
        }
        out.push(item);
    }

    fn update(&mut self, attributes: &Attributes) {
        *self = Self::new(attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, data};
    use super::*;

    #[test]
    fn only_what_is_longer_is_cut() {
        let mut bench = Bench::datagrams(&KIND, r#"{"bytes":3}"#);
        bench.feed(data("abcdef", 0));
        bench.feed(data("ab", 1));
        assert_eq!(bench.text(), "abc|ab|");
        assert_eq!(bench.counters().hits, 1);
    }
}
