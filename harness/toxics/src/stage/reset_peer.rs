//! `reset_peer`: both parties get a reset after a time.
//!
//! The time counts from when the toxic meets the connection, so connections that are open
//! already are reset too. Until then everything passes.

use super::{Cut, Filter, Filtered, Queue};
use crate::attributes::{Attribute, Attributes};
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "reset_peer",
    about: "reset the connection after a time",
    fits: Fits::Stream,
    attributes: &[Attribute::ms("timeout", "time in ms, 0 at once")],
    acts: Acts::OnTraffic(|attributes, now_ns| {
        Filtered::stage(ResetPeer {
            timeout_ns: attributes.ms_as_ns("timeout"),
            met_ns: now_ns,
        })
    }),
};

#[derive(Debug)]
struct ResetPeer {
    timeout_ns: u64,
    met_ns: u64,
}

impl Filter for ResetPeer {
    fn pass(&mut self, item: Item, out: &mut Queue, _: &mut Context<'_>) {
        out.push(item);
    }

    fn cut(&mut self, _: &mut Queue, context: &mut Context<'_>) -> Cut {
        let due_ns = self.met_ns + self.timeout_ns;
        if due_ns > context.now_ns {
            return Cut::At(due_ns);
        }
        context.hit_by_clock("reset");
        Cut::Reset
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
    fn everything_passes_until_the_reset() {
        let mut bench = Bench::new(&KIND, r#"{"timeout":10}"#);
        bench.feed(data("abc", 0));
        assert_eq!(bench.text(), "abc");
        assert_eq!(bench.cut(), Cut::At(10_000_000));
        bench.now_ns = 10_000_000;
        assert_eq!(bench.cut(), Cut::Reset);
    }
}
