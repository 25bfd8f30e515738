//! `duplicate`: some datagrams arrive more than once.

use super::{Filter, Filtered, Queue};
use crate::attributes::{Attribute, Attributes};
use crate::decision::purpose::DUPLICATE;
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "duplicate",
    about: "send a share of the datagrams again",
    fits: Fits::Datagram,
    attributes: &[
        Attribute::share("rate", 1.0, "share that is sent again"),
        Attribute::whole("copies", 1, 100, "how often it is sent again"),
    ],
    acts: Acts::OnTraffic(|attributes, _| Filtered::stage(Duplicate::new(attributes))),
};

#[derive(Debug)]
struct Duplicate {
    rate: f64,
    copies: u64,
}

impl Duplicate {
    fn new(attributes: &Attributes) -> Self {
        Self {
            rate: attributes.share("rate"),
            copies: attributes.whole("copies"),
        }
    }
}

impl Filter for Duplicate {
    fn pass(&mut self, item: Item, out: &mut Queue, context: &mut Context<'_>) {
        if let Item::Data(segment) = &item
            && context.draws.unit(segment.offset, DUPLICATE) < self.rate
        {
            context.hit(segment.offset, segment.bytes.len(), "repeat", self.copies);
            for _ in 0..self.copies {
                out.push(item.clone());
            }
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
    fn copies_follow_at_once() {
        let mut bench = Bench::datagrams(&KIND, r#"{"copies":2}"#);
        bench.feed(data("a", 0));
        bench.feed(data("b", 1));
        assert_eq!(bench.text(), "a|a|a|b|b|b|");
        bench.update(r#"{"rate":0}"#);
        bench.feed(data("c", 2));
        assert_eq!(bench.text(), "c|");
    }
}
