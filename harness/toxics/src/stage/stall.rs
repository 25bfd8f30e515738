//! `half_open` and `stall_after`: a party that stops reading.
//!
//! After so many bytes the link reads no more in this direction: its buffers fill, the
//! window closes, and the sender stands. Removal lets everything go on.

use super::{Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// A reader that never reads.
pub static HALF_OPEN: Kind = Kind {
    name: "half_open",
    about: "stop reading this direction, so that the sender's window closes",
    fits: Fits::Stream,
    attributes: &[],
    acts: Acts::OnTraffic(|_, _| Box::new(Stall::new(0))),
};

/// A reader that stops.
pub static STALL_AFTER: Kind = Kind {
    name: "stall_after",
    about: "stop reading this direction after that many bytes",
    fits: Fits::Stream,
    attributes: &[Attribute::count("bytes", "bytes that pass")],
    acts: Acts::OnTraffic(|attributes, _| Box::new(Stall::new(attributes.whole("bytes")))),
};

#[derive(Debug)]
struct Stall {
    limit: u64,
    passed: u64,
    stalled: bool,
    queue: Queue,
}

impl Stall {
    fn new(limit: u64) -> Self {
        Self {
            limit,
            passed: 0,
            stalled: false,
            queue: Queue::default(),
        }
    }
}

impl Stage for Stall {
    fn feed(&mut self, item: Item, _: &mut Context<'_>) {
        self.queue.push(item);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Step {
        let left = self.limit.saturating_sub(self.passed);
        let (offset, len) = match self.queue.front() {
            None => return Step::Wait(None),
            Some(Item::Data(segment)) => (segment.offset, segment.bytes.len()),
            // Whoever does not read does not see the end, as long as there is data; with
            // nothing to hold back there is nothing to stop.
            Some(_) => return self.queue.pop().map_or(Step::Wait(None), Step::Item),
        };
        if left == 0 {
            if !self.stalled {
                self.stalled = true;
                context.hit(offset, len, "stall", 0);
            }
            return Step::Wait(None);
        }
        let passes = len.min(usize::try_from(left).unwrap_or(usize::MAX));
        self.passed += passes as u64;
        Step::Item(Item::Data(self.queue.split(passes)))
    }

    fn held(&self) -> usize {
        self.queue.cost()
    }

    fn is_open(&self) -> bool {
        !self.stalled
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        // `half_open` has no attributes, and stays what it is.
        if !attributes.to_json().is_empty() {
            self.limit = attributes.whole("bytes");
            self.stalled = self.stalled && self.passed >= self.limit;
        }
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
    fn so_many_bytes_pass_and_no_more_are_read() {
        let mut bench = Bench::new(&STALL_AFTER, r#"{"bytes":4}"#);
        bench.feed(data("abcdef", 0));
        assert_eq!(bench.text(), "abcd");
        assert!(!bench.is_open());
        assert_eq!(bench.counters().hits, 1);
        bench.update(r#"{"bytes":5}"#);
        assert!(bench.is_open());
        assert_eq!(bench.text(), "e");
        assert_eq!(bench.release(), [data("f", 5)]);
    }

    #[test]
    fn half_open_lets_nothing_pass() {
        let mut bench = Bench::new(&HALF_OPEN, "{}");
        bench.feed(data("abc", 0));
        assert_eq!(bench.text(), "");
        assert!(!bench.is_open());
        bench.update("{}");
        assert!(!bench.is_open());
    }
}
