//! `slow_close`: the end comes later.

use super::{Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::evidence::Context;
use crate::item::{Item, Segment};
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "slow_close",
    about: "delay the end of the direction",
    fits: Fits::Stream,
    attributes: &[Attribute::ms("delay", "delay in ms")],
    acts: Acts::OnTraffic(|attributes, _| {
        Box::new(SlowClose {
            delay_ns: attributes.ms_as_ns("delay"),
            passed: 0,
            ended_ns: None,
            queue: Queue::default(),
        })
    }),
};

#[derive(Debug)]
struct SlowClose {
    delay_ns: u64,
    passed: u64,
    ended_ns: Option<u64>,
    queue: Queue,
}

impl Stage for SlowClose {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        match &item {
            Item::Data(Segment { offset, bytes, .. }) => self.passed = offset + bytes.len() as u64,
            Item::End | Item::Close => {
                self.ended_ns = Some(context.now_ns);
                context.hit(self.passed, 0, "delay_end_ns", self.delay_ns);
            }
            Item::Reset => {}
        }
        self.queue.push(item);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Step {
        if let (Some(Item::End | Item::Close), Some(ended_ns)) = (self.queue.front(), self.ended_ns)
        {
            let due_ns = ended_ns + self.delay_ns;
            if due_ns > context.now_ns {
                return Step::Wait(Some(due_ns));
            }
        }
        self.queue.pop().map_or(Step::Wait(None), Step::Item)
    }

    fn held(&self) -> usize {
        self.queue.cost()
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        self.delay_ns = attributes.ms_as_ns("delay");
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
    fn data_passes_and_the_end_waits() {
        let mut bench = Bench::new(&KIND, r#"{"delay":100}"#);
        bench.feed(data("abc", 0));
        bench.feed(Item::End);
        assert_eq!(bench.text(), "abc");
        assert_eq!(bench.poll(), Step::Wait(Some(100_000_000)));
        bench.now_ns = 100_000_000;
        assert_eq!(bench.text(), "[End]");
        assert_eq!(bench.counters().hits, 1);
    }
}
