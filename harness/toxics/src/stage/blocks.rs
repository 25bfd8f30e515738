//! Blocks of a stream: where decisions about bytes have their borders.
//!
//! How the bytes of a stream were cut on their way here is chance. So whatever is decided
//! about more than one byte is decided about a block: `grain` bytes from the first of the
//! stream on, then as many again.

use crate::attributes::{Attribute, MOST_WHOLE};
use crate::item::Segment;

/// Bytes of a block unless something else is said: what one packet of an Ethernet carries.
const GRAIN_BYTES: u64 = 1_460;

/// The attribute that tells how many bytes a block has.
pub(super) const GRAIN: Attribute = Attribute::whole(
    "grain",
    1,
    MOST_WHOLE,
    "on TCP, decide for blocks of so many bytes",
)
.by_default(GRAIN_BYTES as f64)
.unknown_to_original();

/// The blocks that a segment has a part of: where each begins in the stream, and how many
/// bytes of it the segment has.
pub(super) fn blocks(segment: &Segment, grain: u64) -> impl Iterator<Item = (u64, usize)> + use<> {
    let (from, to) = (segment.offset, segment.offset + segment.bytes.len() as u64);
    let first = from - from % grain;
    let starts = (first..to).step_by(usize::try_from(grain).unwrap_or(usize::MAX));
    starts.map(move |start| {
        let part = to.min(start.saturating_add(grain)) - from.max(start);
        (start, usize::try_from(part).expect("part of a segment"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::data;
    use super::*;
    use crate::item::Item;

    #[test]
    fn the_parts_of_a_segment() {
        let parts = |text: &str, offset| match data(text, offset) {
            Item::Data(segment) => blocks(&segment, 4).collect::<Vec<_>>(),
            _ => unreachable!("it is data"),
        };
        assert_eq!(parts("abcdefghi", 3), [(0, 1), (4, 4), (8, 4)]);
        assert_eq!(parts("ab", 5), [(4, 2)]);
        assert_eq!(parts("", 4), []);
    }
}
