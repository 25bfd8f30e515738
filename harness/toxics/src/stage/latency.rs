//! `latency`: everything arrives later, in order.
//!
//! The delay counts from the moment of receipt. With jitter each datagram has a draw of its
//! own; a stream is divided into blocks of `grain` bytes and each block has its draw, so
//! that the delays do not depend on how the bytes were cut on their way here (but a message
//! across a border may come in two).

use std::collections::VecDeque;

use super::blocks::{GRAIN, blocks};
use super::{Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::decision::purpose::JITTER;
use crate::evidence::Context;
use crate::item::{Item, Medium, Segment};
use crate::toxic::{Acts, Fits, Kind};

/// What may be on its way at a time: with 100 ms, 40 MB/s of one connection. The window of
/// a real path of that length is seldom larger.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// The kind.
pub static KIND: Kind = Kind {
    name: "latency",
    about: "delay everything, in order",
    fits: Fits::Both,
    attributes: &[
        Attribute::ms("latency", "delay in ms"),
        Attribute::ms("jitter", "deviate from it by up to this, both ways, in ms"),
        GRAIN,
    ],
    acts: Acts::OnTraffic(|attributes, _| Box::new(Latency::new(attributes))),
};

/// An item on its way.
#[derive(Debug)]
struct Delayed {
    item: Item,
    received_ns: u64,
    /// Its draw in [0, 2^64) of the whole width of the jitter.
    draw: u64,
    due_ns: u64,
}

#[derive(Debug)]
struct Latency {
    latency_ns: u64,
    jitter_ns: u64,
    grain: u64,
    queue: VecDeque<Delayed>,
    cost: usize,
    last_due_ns: u64,
    /// The last key whose draw was told.
    told: Option<u64>,
}

impl Latency {
    fn new(attributes: &Attributes) -> Self {
        Self {
            latency_ns: attributes.ms_as_ns("latency"),
            jitter_ns: attributes.ms_as_ns("jitter"),
            grain: attributes.whole("grain"),
            queue: VecDeque::new(),
            cost: 0,
            last_due_ns: 0,
            told: None,
        }
    }

    fn delay_ns(&self, draw: u64) -> u64 {
        let width = 2 * u128::from(self.jitter_ns) + 1;
        let above_least = u64::try_from((u128::from(draw) * width) >> 64).unwrap_or(u64::MAX);
        (self.latency_ns + above_least).saturating_sub(self.jitter_ns)
    }

    fn push(&mut self, item: Item, received_ns: u64, draw: u64) {
        // Order is kept: nobody overtakes.
        let due_ns = self.last_due_ns.max(received_ns + self.delay_ns(draw));
        self.last_due_ns = due_ns;
        self.cost += item.cost();
        self.queue.push_back(Delayed {
            item,
            received_ns,
            draw,
            due_ns,
        });
    }

    /// Takes a segment with its draw.
    fn push_segment(&mut self, segment: Segment, draw: u64) {
        let at_ns = segment.at_ns;
        self.push(Item::Data(segment), at_ns, draw);
    }

    /// The draw for a block or datagram, told once.
    fn draw(&mut self, key: u64, context: &mut Context<'_>) -> u64 {
        let draw = context.draws.at(key, JITTER);
        if self.jitter_ns > 0 && self.told != Some(key) {
            self.told = Some(key);
            context.tell(key, "delay_ns", self.delay_ns(draw));
        }
        draw
    }
}

/// The middle of all draws: no deviation.
const MIDDLE: u64 = 1 << 63;

impl Stage for Latency {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        let Item::Data(mut segment) = item else {
            self.push(item, context.now_ns, MIDDLE);
            return;
        };
        context.touch(segment.bytes.len());
        if self.jitter_ns == 0 || context.medium == Medium::Datagram {
            let draw = self.draw(segment.offset, context);
            self.push_segment(segment, draw);
            return;
        }
        // What would be due before the longest so far waits for it, and goes with it.
        let (mut longest, mut together) = (0, 0);
        for (start, len) in blocks(&segment, self.grain) {
            let draw = self.draw(start, context);
            if draw > longest && together > 0 {
                let before = segment.split_to(together);
                self.push_segment(before, longest);
                together = 0;
            }
            longest = longest.max(draw);
            together += len;
        }
        self.push_segment(segment, longest);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Step {
        let Some(first) = self.queue.front() else {
            return Step::Wait(None);
        };
        if first.due_ns > context.now_ns {
            return Step::Wait(Some(first.due_ns));
        }
        let Some(Delayed {
            mut item, due_ns, ..
        }) = self.queue.pop_front()
        else {
            return Step::Wait(None);
        };
        self.cost -= item.cost();
        if let Item::Data(segment) = &mut item {
            segment.at_ns = due_ns;
        }
        Step::Item(item)
    }

    fn held(&self) -> usize {
        self.cost
    }

    fn limit(&self) -> usize {
        WINDOW_BYTES
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        self.latency_ns = attributes.ms_as_ns("latency");
        self.jitter_ns = attributes.ms_as_ns("jitter");
        self.grain = attributes.whole("grain");
        let mut last = 0;
        let mut queue = std::mem::take(&mut self.queue);
        for delayed in &mut queue {
            last = last.max(delayed.received_ns + self.delay_ns(delayed.draw));
            delayed.due_ns = last;
        }
        self.queue = queue;
        self.last_due_ns = last;
    }

    fn release(&mut self) -> Vec<Item> {
        self.cost = 0;
        self.queue.drain(..).map(|delayed| delayed.item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, data};
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn everything_leaves_after_the_delay_counted_from_its_receipt() {
        let mut bench = Bench::new(&KIND, r#"{"latency":100}"#);
        bench.feed(data("a", 0));
        bench.now_ns += 30 * MS;
        bench.feed(data("b", 1));
        assert_eq!(bench.poll(), Step::Wait(Some(100 * MS)));
        bench.now_ns = 100 * MS;
        assert_eq!(bench.text(), "a");
        assert_eq!(bench.poll(), Step::Wait(Some(130 * MS)));
        bench.now_ns = 135 * MS;
        assert_eq!(bench.text(), "b");
        assert_eq!(bench.counters().hits, 2);
    }

    #[test]
    fn jitter_keeps_order_and_its_bounds() {
        let mut bench = Bench::new(&KIND, r#"{"latency":100,"jitter":50}"#);
        let mut dues = Vec::new();
        for i in 0..1000_u64 {
            // Far enough apart that none waits for another.
            bench.now_ns = i * 1000 * MS;
            // Each in a block of its own.
            bench.feed(data("x", i * 2_000));
            let Step::Wait(Some(due)) = bench.poll() else {
                panic!("nothing leaves at once")
            };
            dues.push(due - bench.now_ns);
            bench.now_ns = due;
            assert_eq!(bench.text(), "x");
        }
        dues.sort_unstable();
        assert!(dues[0] >= 50 * MS && dues[0] < 52 * MS, "{}", dues[0]);
        assert!(
            dues[999] <= 150 * MS && dues[999] > 148 * MS,
            "{}",
            dues[999]
        );
        assert!(dues[500].abs_diff(100 * MS) < 8 * MS, "{}", dues[500]);
    }

    #[test]
    fn delays_do_not_depend_on_how_the_bytes_were_cut() {
        let dues = |cuts: &[usize]| {
            let mut bench = Bench::new(&KIND, r#"{"latency":100,"jitter":90,"grain":4}"#);
            let mut from = 0;
            for cut in cuts {
                bench.feed(data(&"abcdefghijklmnopqrst"[from..*cut], from as u64));
                from = *cut;
            }
            let mut seen = String::new();
            for ms in 0..300 {
                bench.now_ns = ms * MS;
                let text = bench.text();
                seen += &format!("{text} ");
            }
            seen
        };
        assert_eq!(dues(&[20]), dues(&[1, 3, 9, 10, 20]));
    }

    #[test]
    fn an_update_moves_what_is_on_its_way_and_removal_lets_it_go() {
        let mut bench = Bench::new(&KIND, r#"{"latency":60000}"#);
        bench.feed(data("a", 0));
        bench.feed(data("b", 1));
        bench.update(r#"{"latency":10}"#);
        bench.now_ns = 10 * MS;
        assert_eq!(bench.text(), "ab");
        bench.feed(data("c", 2));
        bench.feed(Item::End);
        assert_eq!(bench.release(), [data("c", 2).at(10 * MS), Item::End]);
    }
}
