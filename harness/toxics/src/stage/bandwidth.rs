//! `bandwidth`: bytes leave at a rate.
//!
//! Each piece leaves when its last byte would have come through a wire of that rate, by a
//! plan and not by the clock of the piece before: late timers do not add up. Rate 0 holds
//! everything, so that the sender has to wait as well.

use super::{LIMIT_BYTES, Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::evidence::Context;
use crate::item::{Item, Medium};
use crate::toxic::{Acts, Fits, Kind};

/// Time that one piece may take: the receiver sees a flow, not bursts.
const PIECE_NS: u64 = 5_000_000;

/// How far the plan may lie behind the clock: what a receiver did not take in time is not
/// made up for in one burst.
const BEHIND_NS: u64 = 50_000_000;

/// A piece of more bytes is no longer sent in one call.
const MOST_PIECE_BYTES: u64 = 64 * 1024;

/// What is held at the highest rates: from 160 MB/s on, less than what leaves in that time.
const MOST_HELD_BYTES: usize = 8 * 1024 * 1024;

/// The kind.
pub static KIND: Kind = Kind {
    name: "bandwidth",
    about: "let bytes pass at a rate; 0 holds them until it is removed or changed",
    fits: Fits::Both,
    attributes: &[Attribute::whole(
        "rate",
        0,
        1_000_000_000,
        "rate in KB/s, of 1000 bytes",
    )],
    acts: Acts::OnTraffic(|attributes, _| {
        Box::new(Bandwidth {
            bytes_per_second: attributes.whole("rate") * 1_000,
            free_at_ns: 0,
            planned_ns: None,
            queue: Queue::default(),
        })
    }),
};

#[derive(Debug)]
struct Bandwidth {
    bytes_per_second: u64,
    /// When the wire has sent all that was given to it.
    free_at_ns: u64,
    /// When the piece at the front will have been sent, once that is planned.
    planned_ns: Option<u64>,
    queue: Queue,
}

impl Bandwidth {
    /// How long so many bytes take.
    fn time_ns(&self, bytes: u64) -> u64 {
        let ns = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    fn piece(&self, bytes: usize, medium: Medium) -> usize {
        if medium == Medium::Datagram {
            return bytes;
        }
        let most = u128::from(self.bytes_per_second) * u128::from(PIECE_NS) / 1_000_000_000;
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let most = most.clamp(1, MOST_PIECE_BYTES);
        bytes.min(usize::try_from(most).unwrap_or(usize::MAX))
    }
}

impl Stage for Bandwidth {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        if let Item::Data(segment) = &item {
            context.touch(segment.bytes.len());
        }
        self.queue.push(item);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Step {
        let segment = match self.queue.front() {
            None => return Step::Wait(None),
            Some(Item::Data(_)) if self.bytes_per_second == 0 => return Step::Wait(None),
            Some(Item::Data(segment)) => segment,
            Some(_) => {
                let item = self.queue.pop().expect("it was seen");
                return Step::Item(item);
            }
        };
        let piece = self.piece(segment.bytes.len(), context.medium);
        let earliest_ns = segment.at_ns.max(context.now_ns.saturating_sub(BEHIND_NS));
        let done_ns = self.planned_ns.unwrap_or_else(|| {
            let from_ns = self.free_at_ns.max(earliest_ns);
            from_ns.saturating_add(self.time_ns(piece as u64))
        });
        self.planned_ns = Some(done_ns);
        if done_ns > context.now_ns {
            return Step::Wait(Some(done_ns));
        }
        self.free_at_ns = done_ns;
        self.planned_ns = None;
        let mut segment = self.queue.split(piece);
        segment.at_ns = done_ns;
        Step::Item(Item::Data(segment))
    }

    fn held(&self) -> usize {
        self.queue.cost()
    }

    /// As much as leaves in the time by which the plan may lie behind: a worker that is
    /// late must not find that there is nothing to make up with.
    fn limit(&self) -> usize {
        let in_time = self.bytes_per_second / (1_000_000_000 / BEHIND_NS);
        usize::try_from(in_time).map_or(MOST_HELD_BYTES, |bytes| {
            bytes.clamp(LIMIT_BYTES, MOST_HELD_BYTES)
        })
    }

    fn update(&mut self, attributes: &Attributes, now_ns: u64) {
        self.bytes_per_second = attributes.whole("rate") * 1_000;
        self.free_at_ns = now_ns;
        self.planned_ns = None;
    }

    fn release(&mut self) -> Vec<Item> {
        self.queue.take()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, data};
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn bytes_leave_at_the_rate_however_late_it_is_asked() {
        let mut bench = Bench::new(&KIND, r#"{"rate":100}"#);
        for i in 0..10 {
            bench.feed(data(&"x".repeat(10_000), i * 10_000));
        }
        let mut sent = 0;
        let mut late = 0;
        while sent < 100_000 {
            match bench.poll() {
                Step::Item(Item::Data(segment)) => {
                    assert!(segment.bytes.len() <= 500);
                    sent += segment.bytes.len();
                }
                Step::Wait(Some(due)) => {
                    // A timer that is late now and then.
                    late = (late + 1) % 7;
                    bench.now_ns = due + late * MS;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(
            bench.now_ns.abs_diff(1000 * MS) < 8 * MS,
            "{}",
            bench.now_ns
        );
    }

    #[test]
    fn rate_0_holds_and_removal_releases_in_order() {
        let mut bench = Bench::new(&KIND, r#"{"rate":0}"#);
        bench.feed(data("a", 0));
        bench.feed(data("b", 1));
        bench.feed(Item::End);
        bench.now_ns = 1_000_000 * MS;
        assert_eq!(bench.poll(), Step::Wait(None));
        assert_eq!(bench.release(), [data("a", 0), data("b", 1), Item::End]);
    }

    #[test]
    fn datagrams_stay_whole() {
        let mut bench = Bench::datagrams(&KIND, r#"{"rate":1}"#);
        bench.feed(data(&"x".repeat(1000), 0));
        assert_eq!(bench.poll(), Step::Wait(Some(1000 * MS)));
        bench.now_ns = 1000 * MS;
        assert_eq!(bench.text(), "x".repeat(1000) + "|");
    }

    #[test]
    fn what_was_not_taken_in_time_is_no_burst_later() {
        let mut bench = Bench::new(&KIND, r#"{"rate":100}"#);
        bench.feed(data(&"x".repeat(100_000), 0));
        bench.now_ns = 10_000 * MS;
        // 50 ms of 100 KB/s.
        assert_eq!(bench.text().len(), 5_000);
    }
}
