//! `duplicate`: some datagrams arrive more than once.

use super::{Queue, Stage, Step};
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
    acts: Acts::OnTraffic(|attributes, _| {
        Box::new(Duplicate {
            rate: attributes.share("rate"),
            copies: attributes.whole("copies"),
            queue: Queue::default(),
        })
    }),
};

#[derive(Debug)]
struct Duplicate {
    rate: f64,
    copies: u64,
    queue: Queue,
}

impl Stage for Duplicate {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        if let Item::Data(segment) = &item
            && context.draws.unit(segment.offset, DUPLICATE) < self.rate
        {
            context.hit(segment.offset, segment.bytes.len(), "repeat", self.copies);
            for _ in 0..self.copies {
                self.queue.push(item.clone());
            }
        }
        self.queue.push(item);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Step {
        self.queue.pop().map_or(Step::Wait(None), Step::Item)
    }

    fn held(&self) -> usize {
        self.queue.cost()
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        self.rate = attributes.share("rate");
        self.copies = attributes.whole("copies");
    }

    fn release(&mut self) -> Vec<Item> {
        self.queue.take()
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
