//! `limit_data`: after so many bytes the connection is closed.

use super::{Filter, Filtered, Queue};
use crate::attributes::{Attribute, Attributes};
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "limit_data",
    about: "close the connection after that many bytes, counted from when it meets it",
    fits: Fits::Both,
    attributes: &[Attribute::count("bytes", "bytes that pass")],
    acts: Acts::OnTraffic(|attributes, _| {
        Filtered::stage(LimitData {
            limit: attributes.whole("bytes"),
            passed: 0,
            closed: false,
        })
    }),
};

#[derive(Debug)]
struct LimitData {
    limit: u64,
    passed: u64,
    closed: bool,
}

impl Filter for LimitData {
    fn pass(&mut self, item: Item, out: &mut Queue, context: &mut Context<'_>) {
        if self.closed {
            return;
        }
        let Item::Data(mut segment) = item else {
            out.push(item);
            return;
        };
        let left = self.limit.saturating_sub(self.passed);
        let whole = segment.bytes.len() as u64;
        if whole >= left {
            self.closed = true;
            let cut = usize::try_from(left).expect("no more than the segment has");
            let lost = segment.bytes.len() - cut;
            context.hit(segment.offset + left, lost, "close", 0);
            segment.bytes.truncate(cut);
        }
        self.passed += segment.bytes.len() as u64;
        if !segment.bytes.is_empty() || !self.closed {
            out.push(Item::Data(segment));
        }
        if self.closed {
            out.push(Item::Close);
        }
    }

    fn update(&mut self, attributes: &Attributes) {
        self.limit = attributes.whole("bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Bench, data};
    use super::*;

    #[test]
    fn exactly_so_many_bytes_pass() {
        for (chunks, limit) in [(vec!["abcdef"], 4), (vec!["ab", "cd", "ef"], 4)] {
            let mut bench = Bench::new(&KIND, &format!(r#"{{"bytes":{limit}}}"#));
            let mut offset = 0;
            for chunk in chunks {
                bench.feed(data(chunk, offset));
                offset += chunk.len() as u64;
            }
            assert_eq!(bench.text(), "abcd[Close]");
        }
    }

    #[test]
    fn none_closes_at_the_first_and_an_update_keeps_the_count() {
        let mut bench = Bench::new(&KIND, r#"{"bytes":0}"#);
        bench.feed(data("a", 0));
        assert_eq!(bench.text(), "[Close]");
        let mut bench = Bench::new(&KIND, r#"{"bytes":100}"#);
        bench.feed(data("abc", 0));
        bench.update(r#"{"bytes":5}"#);
        bench.feed(data("def", 3));
        assert_eq!(bench.text(), "abcde[Close]");
    }
}
