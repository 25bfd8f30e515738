//! `timeout`: nothing passes, and after a time the connection is closed.
//!
//! The time counts from when the toxic meets the connection: its start, or the adding of
//! the toxic. The sender's own end does pass, as with the original.

use super::{Cut, Filter, Filtered, Queue};
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
        Filtered::stage(Timeout {
            timeout_ns: attributes.ms_as_ns("timeout"),
            met_ns: now_ns,
            closed: false,
        })
    }),
};

#[derive(Debug)]
struct Timeout {
    timeout_ns: u64,
    met_ns: u64,
    closed: bool,
}

impl Filter for Timeout {
    fn pass(&mut self, item: Item, out: &mut Queue, context: &mut Context<'_>) {
        match item {
            Item::Data(segment) => context.touch(segment.bytes.len()),
            other => out.push(other),
        }
    }

    fn cut(&mut self, _: &mut Queue, context: &mut Context<'_>) -> Cut {
        if self.timeout_ns == 0 || self.closed {
            return Cut::None;
        }
        let due_ns = self.met_ns + self.timeout_ns;
        if due_ns > context.now_ns {
            return Cut::At(due_ns);
        }
        self.closed = true;
        context.hit_by_clock("close");
        Cut::Close
    }

    fn update(&mut self, attributes: &Attributes) {
        self.timeout_ns = attributes.ms_as_ns("timeout");
    }

    fn release(&mut self, _: &mut Queue) -> Vec<Item> {
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
