//! `timeout`: nothing passes, and after a time the connection is closed.
//!
//! The time counts from when the toxic meets the connection: its start, or the adding of
//! the toxic. The sender's own end does pass, as with the original.

use super::{Cut, Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "timeout",
    about: "swallow all data and close after a time; 0 never closes; removal closes",
    fits: Fits::Both,
    attributes: &[Attribute::ms("timeout", "time in ms, 0 for ever")],
    acts: Acts::OnTraffic(|attributes, now_ns| {
        Box::new(Timeout {
            timeout_ns: attributes.ms_as_ns("timeout"),
            met_ns: now_ns,
            swallowed: 0,
            closed: false,
            queue: Queue::default(),
        })
    }),
};

#[derive(Debug)]
struct Timeout {
    timeout_ns: u64,
    met_ns: u64,
    swallowed: u64,
    closed: bool,
    queue: Queue,
}

impl Stage for Timeout {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        match item {
            Item::Data(segment) => {
                self.swallowed = segment.offset + segment.bytes.len() as u64;
                context.touch(segment.bytes.len());
            }
            other => self.queue.push(other),
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Step {
        self.queue.pop().map_or(Step::Wait(None), Step::Item)
    }

    fn held(&self) -> usize {
        self.queue.cost()
    }

    fn cut(&mut self, context: &mut Context<'_>) -> Cut {
        if self.timeout_ns == 0 || self.closed {
            return Cut::None;
        }
        let due_ns = self.met_ns + self.timeout_ns;
        if due_ns > context.now_ns {
            return Cut::At(due_ns);
        }
        self.closed = true;
        context.hit(self.swallowed, 0, "close", 0);
        Cut::Close
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        self.timeout_ns = attributes.ms_as_ns("timeout");
    }

    fn release(&mut self) -> Vec<Item> {
        vec![Item::Close]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, data};
    use super::*;

    #[test]
    fn data_is_swallowed_until_the_time_is_over() {
        let mut bench = Bench::new(&KIND, r#"{"timeout":100}"#);
        bench.feed(data("abc", 0));
        assert_eq!(bench.text(), "");
        assert_eq!(bench.cut(), Cut::At(100_000_000));
        bench.now_ns = 100_000_000;
        assert_eq!(bench.cut(), Cut::Close);
        assert_eq!(bench.cut(), Cut::None);
        assert_eq!(bench.counters().bytes, 3);
    }

    #[test]
    fn without_a_time_only_removal_closes() {
        let mut bench = Bench::new(&KIND, r#"{"timeout":0}"#);
        bench.feed(data("abc", 0));
        bench.now_ns = u64::MAX / 2;
        assert_eq!(bench.cut(), Cut::None);
        assert_eq!(bench.release(), [Item::Close]);
    }
}
