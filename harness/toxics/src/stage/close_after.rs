//! `close_after`: the connection is closed after a time, and until then all is well.

use super::{Cut, Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::evidence::Context;
use crate::item::{Item, Segment};
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "close_after",
    about: "close the connection, in order, after a time; until then all passes",
    fits: Fits::Stream,
    attributes: &[Attribute::ms("timeout", "time in ms")],
    acts: Acts::OnTraffic(|attributes, now_ns| {
        Box::new(CloseAfter {
            timeout_ns: attributes.ms_as_ns("timeout"),
            met_ns: now_ns,
            passed: 0,
            closed: false,
            queue: Queue::default(),
        })
    }),
};

#[derive(Debug)]
struct CloseAfter {
    timeout_ns: u64,
    met_ns: u64,
    passed: u64,
    closed: bool,
    queue: Queue,
}

impl Stage for CloseAfter {
    fn feed(&mut self, item: Item, _: &mut Context<'_>) {
        if let Item::Data(Segment { offset, bytes, .. }) = &item {
            self.passed = offset + bytes.len() as u64;
        }
        if !self.closed {
            self.queue.push(item);
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Step {
        self.queue.pop().map_or(Step::Wait(None), Step::Item)
    }

    fn held(&self) -> usize {
        self.queue.cost()
    }

    fn cut(&mut self, context: &mut Context<'_>) -> Cut {
        if self.closed {
            return Cut::None;
        }
        let due_ns = self.met_ns + self.timeout_ns;
        if due_ns > context.now_ns {
            return Cut::At(due_ns);
        }
        self.closed = true;
        context.hit(self.passed, 0, "close", 0);
        // What is held came before the end.
        self.queue.push(Item::Close);
        Cut::None
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        self.timeout_ns = attributes.ms_as_ns("timeout");
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
    fn what_came_in_time_comes_before_the_end() {
        let mut bench = Bench::new(&KIND, r#"{"timeout":10}"#);
        bench.feed(data("abc", 0));
        assert_eq!(bench.cut(), Cut::At(10_000_000));
        bench.now_ns = 10_000_000;
        assert_eq!(bench.cut(), Cut::None);
        bench.feed(data("late", 3));
        assert_eq!(bench.text(), "abc[Close]");
    }
}
