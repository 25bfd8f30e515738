//! `reset_peer`: both parties get a reset after a time.
//!
//! The time counts from when the toxic meets the connection, so connections that are open
//! already are reset too. Until then everything passes.

use super::{Cut, Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::evidence::Context;
use crate::item::{Item, Segment};
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "reset_peer",
    about: "reset the connection after a time",
    fits: Fits::Stream,
    attributes: &[Attribute::ms("timeout", "time in ms, 0 at once")],
    acts: Acts::OnTraffic(|attributes, now_ns| {
        Box::new(ResetPeer {
            timeout_ns: attributes.ms_as_ns("timeout"),
            met_ns: now_ns,
            passed: 0,
            queue: Queue::default(),
        })
    }),
};

#[derive(Debug)]
struct ResetPeer {
    timeout_ns: u64,
    met_ns: u64,
    passed: u64,
    queue: Queue,
}

impl Stage for ResetPeer {
    fn feed(&mut self, item: Item, _: &mut Context<'_>) {
        if let Item::Data(Segment { offset, bytes, .. }) = &item {
            self.passed = offset + bytes.len() as u64;
        }
        self.queue.push(item);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Step {
        self.queue.pop().map_or(Step::Wait(None), Step::Item)
    }

    fn held(&self) -> usize {
        self.queue.cost()
    }

    fn cut(&mut self, context: &mut Context<'_>) -> Cut {
        let due_ns = self.met_ns + self.timeout_ns;
        if due_ns > context.now_ns {
            return Cut::At(due_ns);
        }
        context.hit(self.passed, 0, "reset", 0);
        Cut::Reset
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
    fn everything_passes_until_the_reset() {
        let mut bench = Bench::new(&KIND, r#"{"timeout":10}"#);
        bench.feed(data("abc", 0));
        assert_eq!(bench.text(), "abc");
        assert_eq!(bench.cut(), Cut::At(10_000_000));
        bench.now_ns = 10_000_000;
        assert_eq!(bench.cut(), Cut::Reset);
    }
}
