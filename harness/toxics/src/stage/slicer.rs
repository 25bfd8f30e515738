//! `slicer`: data leaves in small segments.
//!
//! Where to cut depends on the offset alone: the stream is divided into blocks, each block
//! begins with a cut, and from there each slice has its drawn size. So the cuts are the
//! same however the bytes came; a segment that ends between two cuts ends there.

use super::{Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::decision::Draws;
use crate::decision::purpose::CUT;
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// Slices in a block: few enough to find one's place in a block at once, and enough that
/// the cut at its end does not matter.
const BLOCK_SLICES: u64 = 256;

/// The largest slice. Larger ones are no fault.
const MOST_BYTES: u64 = 1 << 30;

/// The kind.
pub static KIND: Kind = Kind {
    name: "slicer",
    about: "send data in small segments, with a pause after each",
    fits: Fits::Stream,
    attributes: &[
        Attribute::whole(
            "average_size",
            1,
            MOST_BYTES,
            "mean size of a segment in bytes",
        ),
        Attribute::whole(
            "size_variation",
            0,
            MOST_BYTES,
            "deviate from it by up to this",
        ),
        Attribute::whole("delay", 0, 3_600_000_000, "pause in microseconds"),
    ],
    acts: Acts::OnTraffic(|attributes, _| Box::new(Slicer::new(attributes))),
};

#[derive(Debug)]
struct Slicer {
    average: u64,
    variation: u64,
    delay_ns: u64,
    free_at_ns: u64,
    /// The last cut that was found, to begin from.
    cut: u64,
    queue: Queue,
}

impl Slicer {
    fn new(attributes: &Attributes) -> Self {
        let average = attributes.whole("average_size");
        Self {
            average,
            // A slice of nothing would never end.
            variation: attributes.whole("size_variation").min(average - 1),
            delay_ns: attributes.whole("delay") * 1_000,
            free_at_ns: 0,
            cut: 0,
            queue: Queue::default(),
        }
    }

    /// The first cut behind `offset`.
    fn next_cut(&mut self, offset: u64, draws: Draws) -> u64 {
        let block_bytes = self.average * BLOCK_SLICES;
        let block = offset / block_bytes * block_bytes;
        if self.cut < block || self.cut > offset {
            self.cut = block;
        }
        loop {
            let size =
                self.average - self.variation + draws.up_to(self.cut, CUT, 2 * self.variation);
            let next = (self.cut + size).min(block + block_bytes);
            if next > offset {
                return next;
            }
            self.cut = next;
        }
    }
}

impl Stage for Slicer {
    fn feed(&mut self, item: Item, _: &mut Context<'_>) {
        self.queue.push(item);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Step {
        let (offset, len) = match self.queue.front() {
            None => return Step::Wait(None),
            Some(Item::Data(segment)) => (segment.offset, segment.bytes.len()),
            Some(_) => {
                let item = self.queue.pop().expect("it was seen");
                return Step::Item(item);
            }
        };
        if self.free_at_ns > context.now_ns {
            return Step::Wait(Some(self.free_at_ns));
        }
        let cut = self.next_cut(offset, context.draws);
        let slice = len.min(usize::try_from(cut - offset).unwrap_or(usize::MAX));
        if slice < len {
            context.touch(slice);
        }
        if offset + slice as u64 == cut {
            context.tell(cut, "cut", 0);
        }
        let segment = self.queue.split(slice);
        if self.delay_ns > 0 {
            // By plan, so that late timers do not add up; after a pause, from now.
            let from_ns = self.free_at_ns.max(segment.at_ns);
            let behind = context.now_ns.saturating_sub(self.delay_ns.max(1_000_000));
            self.free_at_ns = from_ns.max(behind) + self.delay_ns;
        }
        Step::Item(Item::Data(segment))
    }

    fn held(&self) -> usize {
        self.queue.cost()
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        let queue = std::mem::take(&mut self.queue);
        *self = Self {
            queue,
            ..Self::new(attributes)
        };
    }

    fn release(&mut self) -> Vec<Item> {
        self.queue.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{Bench, data};
    use super::*;

    fn slices(bench: &mut Bench) -> Vec<String> {
        let items = bench.items();
        let texts = items.into_iter().map(|item| match item {
            Item::Data(segment) => String::from_utf8(segment.bytes.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        });
        texts.collect()
    }

    #[test]
    fn single_bytes() {
        let mut bench = Bench::new(&KIND, r#"{"average_size":1,"size_variation":1}"#);
        bench.feed(data("abc", 0));
        assert_eq!(slices(&mut bench), ["a", "b", "c"]);
        assert_eq!(bench.counters().hits, 2);
    }

    #[test]
    fn a_pause_after_each_slice() {
        let mut bench = Bench::new(&KIND, r#"{"average_size":2,"delay":3000}"#);
        bench.feed(data("abcde", 0));
        assert_eq!(bench.text(), "ab");
        assert_eq!(bench.poll(), Step::Wait(Some(3_000_000)));
        bench.now_ns = 3_000_000;
        assert_eq!(bench.text(), "cd");
        bench.now_ns = 6_000_000;
        assert_eq!(bench.text(), "e");
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_and_cuts_do_not_depend_on_the_chunks(
            average in 1_u64..40,
            variation in 0_u64..50,
            mut at in proptest::collection::vec(0_usize..5_000, 0..20),
        ) {
            let text: String = (0..5_000).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
            let attributes = format!(r#"{{"average_size":{average},"size_variation":{variation}}}"#);
            let cuts = |borders: &[usize]| {
                let mut bench = Bench::new(&KIND, &attributes);
                let mut from = 0;
                let mut seen = String::new();
                let mut cuts = std::collections::BTreeSet::new();
                for border in borders {
                    bench.feed(data(&text[from..*border], from as u64));
                    from = *border;
                    for slice in slices(&mut bench) {
                        assert!(slice.len() as u64 <= average + variation.min(average - 1));
                        seen += &slice;
                        cuts.insert(seen.len());
                    }
                }
                assert_eq!(seen, text);
                cuts
            };
            at.sort_unstable();
            at.push(5_000);
            let whole = cuts(&[5_000]);
            let chunked = cuts(&at);
            prop_assert!(whole.is_subset(&chunked));
            let extra: Vec<_> = chunked.difference(&whole).collect();
            prop_assert!(extra.iter().all(|cut| at.contains(cut)));
        }
    }
}
