//! `close_after`: the connection is closed after a time, and until then all is well.

use super::{Cut, Filter, Filtered, Queue};
use crate::attributes::{Attribute, Attributes};
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "close_after",
    about: "close the connection, in order, after a time; until then all passes",
    fits: Fits::Stream,
    attributes: &[Attribute::ms("timeout", "time in ms")],
    acts: Acts::OnTraffic(|attributes, now_ns| {
        Filtered::stage(CloseAfter {
            timeout_ns: attributes.ms_as_ns("timeout"),
            met_ns: now_ns,
            closed: false,
        })
    }),
};

#[derive(Debug)]
struct CloseAfter {
    timeout_ns: u64,
    met_ns: u64,
    closed: bool,
}

impl Filter for CloseAfter {
    fn pass(&mut self, item: Item, out: &mut Queue, _: &mut Context<'_>) {
        if !self.closed {
            out.push(item);
        }
    }

    fn cut(&mut self, out: &mut Queue, context: &mut Context<'_>) -> Cut {
        if self.closed {
            return Cut::None;
        }
        let due_ns = self.met_ns + self.timeout_ns;
        if due_ns > context.now_ns {
            return Cut::At(due_ns);
        }
        self.closed = true;
        context.hit_by_clock("close");
        // What is held came before the end.
        out.push(Item::Close);
        Cut::None
    }

    fn update(&mut self, attributes: &Attributes) {
        self.timeout_ns = attributes.ms_as_ns("timeout");
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
