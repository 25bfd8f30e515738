//! `reorder`: some datagrams are overtaken.
//!
//! A datagram that is chosen waits until some others have passed, or for a time if none
//! come.

use std::collections::VecDeque;

use super::{Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::decision::purpose::REORDER;
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "reorder",
    about: "let later datagrams overtake a share of them",
    fits: Fits::Datagram,
    attributes: &[
        Attribute::share("rate", 1.0, "share that is overtaken; of two in a row, one"),
        Attribute::whole("gap", 1, 10_000, "datagrams that overtake it"),
        Attribute::ms("timeout", "wait no longer than this in ms").by_default(100.0),
    ],
    acts: Acts::OnTraffic(|attributes, _| {
        Box::new(Reorder {
            rate: attributes.share("rate"),
            gap: attributes.whole("gap"),
            timeout_ns: attributes.ms_as_ns("timeout"),
            waiting: VecDeque::new(),
            waiting_cost: 0,
            queue: Queue::default(),
        })
    }),
};

#[derive(Debug)]
struct Waiting {
    item: Item,
    to_pass: u64,
    since_ns: u64,
}

#[derive(Debug)]
struct Reorder {
    rate: f64,
    gap: u64,
    timeout_ns: u64,
    waiting: VecDeque<Waiting>,
    waiting_cost: usize,
    queue: Queue,
}

impl Reorder {
    /// Lets those go that have waited enough.
    fn settle(&mut self, now_ns: u64) {
        while let Some(first) = self.waiting.front()
            && (first.to_pass == 0 || first.since_ns + self.timeout_ns <= now_ns)
        {
            let Some(first) = self.waiting.pop_front() else {
                return;
            };
            self.waiting_cost -= first.item.cost();
            self.queue.push(first.item);
        }
    }
}

impl Stage for Reorder {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        self.settle(context.now_ns);
        if let Item::Data(segment) = &item {
            // One that follows a chosen one passes it: with a rate of 1 pairs are swapped.
            let is_chosen = self.waiting.iter().all(|first| first.to_pass < self.gap)
                && context.draws.unit(segment.offset, REORDER) < self.rate;
            if is_chosen {
                context.hit(segment.offset, segment.bytes.len(), "hold_back", self.gap);
                self.waiting_cost += item.cost();
                self.waiting.push_back(Waiting {
                    item,
                    to_pass: self.gap,
                    since_ns: context.now_ns,
                });
                return;
            }
            for waiting in &mut self.waiting {
                waiting.to_pass = waiting.to_pass.saturating_sub(1);
            }
        }
        self.queue.push(item);
        self.settle(context.now_ns);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Step {
        self.settle(context.now_ns);
        if let Some(item) = self.queue.pop() {
            return Step::Item(item);
        }
        let first = self.waiting.front();
        Step::Wait(first.map(|first| first.since_ns + self.timeout_ns))
    }

    fn held(&self) -> usize {
        self.queue.cost() + self.waiting_cost
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        self.rate = attributes.share("rate");
        self.gap = attributes.whole("gap");
        self.timeout_ns = attributes.ms_as_ns("timeout");
    }

    fn release(&mut self) -> Vec<Item> {
        let mut items = self.queue.take();
        items.extend(self.waiting.drain(..).map(|waiting| waiting.item));
        self.waiting_cost = 0;
        items
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, data};
    use super::*;

    #[test]
    fn pairs_are_swapped_and_the_last_waits_for_its_time() {
        let mut bench = Bench::datagrams(&KIND, "{}");
        for (i, text) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            bench.feed(data(text, i as u64));
        }
        assert_eq!(bench.text(), "b|a|d|c|");
        assert_eq!(bench.poll(), Step::Wait(Some(100_000_000)));
        bench.now_ns = 100_000_000;
        assert_eq!(bench.text(), "e|");
        assert_eq!(bench.counters().hits, 3);
    }

    #[test]
    fn a_gap_is_how_many_overtake() {
        let mut bench = Bench::datagrams(&KIND, r#"{"rate":1,"gap":3}"#);
        bench.feed(data("a", 0));
        bench.update(r#"{"rate":0}"#);
        for (i, text) in ["b", "c", "d", "e"].into_iter().enumerate() {
            bench.feed(data(text, 1 + i as u64));
        }
        assert_eq!(bench.text(), "b|c|d|a|e|");
    }

    #[test]
    fn none_is_lost_by_removal() {
        let mut bench = Bench::datagrams(&KIND, "{}");
        bench.feed(data("a", 0));
        assert_eq!(bench.release(), [data("a", 0)]);
    }
}
