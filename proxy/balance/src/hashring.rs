//! The hash ring of the statsd cluster proxy: which node gets which metric.
//!
//! The same ring as the npm package `hashring` 3.2.0 makes for `proxy.js` of statsd 0.9.0
//! (ketama's, with MD5, one point for each hash), point by point, so that a proxy can take
//! the place of another without a single metric changing its node.

use md5::block_api::compress;
use md5::{Digest, Md5};

/// How many nodes a ring can tell apart. At 40 points each a ring of so many takes 36 MiB
/// and about a second to make; to leave some of them out takes some ten milliseconds.
pub const MAX_NODES: usize = u16::MAX as usize;

/// The weight that the original gives to every node.
const WEIGHT: f64 = 100.0;

/// Points for each node, before rounding.
const POINTS: f64 = 40.0;

/// The most points that come of it, with or without rounding.
const MOST_POINTS: u8 = POINTS as u8;

/// The longest text that MD5 takes in one block: 64 bytes less one for the mark of the end
/// and eight for the length.
const ONE_BLOCK: usize = 55;

/// How MD5 starts (RFC 1321, 3.3).
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// A place on the ring, and the node that gets what hashes to it or to what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    hash: u32,
    node: u16,
    /// Which of its node's points it is.
    nth: u8,
}

impl Point {
    /// Where it comes in order: where two nodes fall on one place, the first one has it.
    fn place(&self) -> (u32, u16) {
        (self.hash, self.node)
    }
}

/// The points of all live nodes in order, and an index that finds the right one at once.
///
/// A ring does not change: another set of live nodes is another ring.
#[derive(Clone, Debug, Default)]
pub struct HashRing {
    /// In order, and after them the first one again, at the highest hash: what is after the
    /// last point belongs to the first, and a search always ends. Empty without nodes.
    points: Vec<Point>,
    /// In order as well, what a ring of the same nodes with one point more for each would
    /// have: some number of live nodes less has it.
    spare: Vec<Point>,
    /// For each value that the upper bits of a hash can have, the first point that is not
    /// before all hashes with these bits. One for about each point, so that a search looks at
    /// one or two points however many there are.
    index: Vec<u32>,
    /// How far a hash is shifted to the right to be an index.
    shift: u32,
    points_per_node: usize,
}

impl HashRing {
    /// The ring of those of these nodes that are live. Names are `host:port` as configured,
    /// each but once; a node is told by its index in `names`.
    ///
    /// Nodes whose points fall on one place (one ring of a hundred nodes in five hundred
    /// has such a pair) have it in the order of `names`.
    ///
    /// # Panics
    /// With more than [`MAX_NODES`] names.
    #[must_use]
    pub fn new<S: AsRef<str>>(names: &[S], live: impl Fn(usize) -> bool) -> Self {
        assert!(names.len() <= MAX_NODES, "at most {MAX_NODES} nodes");
        let members = (0u16..).zip(names);
        let members = members.filter(|&(node, _)| live(usize::from(node)));
        let mut all: Vec<_> = members
            .flat_map(|(node, name)| {
                let name = name.as_ref();
                (0..MOST_POINTS).map(move |nth| Point {
                    hash: hash(format!("{name}-{nth}").as_bytes()),
                    node,
                    nth,
                })
            })
            .collect();
        all.sort_by_key(Point::place);
        Self::of(all)
    }

    /// The ring of those of its nodes that are live: the same as [`new`](Self::new) makes of
    /// them, but without hashing or sorting anything again, about a hundred times as fast.
    #[must_use]
    pub fn of_live(&self, live: impl Fn(usize) -> bool) -> Self {
        let used = &self.points[..self.len()];
        let mut all: Vec<_> = used
            .iter()
            .chain(&self.spare)
            .filter(|point| live(usize::from(point.node)))
            .copied()
            .collect();
        // Two runs that are in order: this only merges them.
        all.sort_by_key(Point::place);
        Self::of(all)
    }

    /// Puts a ring together of all points that its nodes may have, in order.
    fn of(all: Vec<Point>) -> Self {
        let nodes = all.iter().filter(|point| point.nth == 0).count();
        let points_per_node = points_per_node(nodes);
        let (mut points, spare): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|point| usize::from(point.nth) < points_per_node);
        let Some(&first) = points.first() else {
            return Self::default();
        };
        let bits = points.len().next_power_of_two().trailing_zeros().max(1);
        let shift = u32::BITS - bits;
        let mut next = 0;
        let index = (0..1u32 << bits)
            .map(|upper| {
                let before = |point: &Point| point.hash < upper << shift;
                while points.get(next).is_some_and(before) {
                    next += 1;
                }
                next as u32
            })
            .collect();
        points.push(Point {
            hash: u32::MAX,
            ..first
        });
        Self {
            points,
            spare,
            index,
            shift,
            points_per_node,
        }
    }

    /// The node that gets a key, `None` if none is live.
    #[must_use]
    pub fn node_of_key(&self, key: &[u8]) -> Option<u16> {
        self.node_of_hash(Self::hash_key(key))
    }

    /// The node that gets a key with this hash: that of the first point at or after it, or
    /// of the first of all. `None` if none is live.
    #[must_use]
    pub fn node_of_hash(&self, hash: u32) -> Option<u16> {
        let &start = self.index.get((hash >> self.shift) as usize)?;
        let after = &self.points[start as usize..];
        after
            .iter()
            .find(|point| point.hash >= hash)
            .map(|point| point.node)
    }

    /// Where a key is on the ring: the first four bytes of its MD5, the lowest first. What is
    /// not UTF-8 in it counts as U+FFFD, as it does in the original, whose keys are strings.
    #[must_use]
    pub fn hash_key(key: &[u8]) -> u32 {
        match std::str::from_utf8(key) {
            Ok(_) => hash(key),
            Err(_) => hash(String::from_utf8_lossy(key).as_bytes()),
        }
    }

    /// How many points the ring has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len().saturating_sub(1)
    }

    /// Whether no node is live.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// How many points each live node has. A change of this number moves keys of nodes that
    /// stay as they were.
    #[must_use]
    pub fn points_per_node(&self) -> usize {
        self.points_per_node
    }

    /// The points in order, each as its hash and its node.
    pub fn points(&self) -> impl ExactSizeIterator<Item = (u32, u16)> + '_ {
        let points = &self.points[..self.len()];
        points.iter().map(|point| (point.hash, point.node))
    }
}

/// How many points each of this many live nodes has: 40, or 39 where that is what comes out
/// of the original's arithmetic in floating point, in its order (7, 14, 28, 49 nodes …).
fn points_per_node(nodes: usize) -> usize {
    if nodes == 0 {
        return 0;
    }
    let nodes = nodes as f64;
    let percentage = WEIGHT / (WEIGHT * nodes);
    (percentage * POINTS * nodes).floor() as usize
}

/// The first word of a text's MD5.
fn hash(text: &[u8]) -> u32 {
    if text.len() <= ONE_BLOCK {
        // What nearly every key is: without the buffer that a digest keeps.
        let mut block = [0; 64];
        block[..text.len()].copy_from_slice(text);
        block[text.len()] = 0x80;
        block[56..].copy_from_slice(&(text.len() as u64 * 8).to_le_bytes());
        let mut state = START;
        compress(&mut state, &[block]);
        state[0]
    } else {
        let digest = Md5::digest(text);
        u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_points_is_the_originals() {
        assert_eq!(points_per_node(0), 0);
        let fewer: Vec<_> = (1..=112).filter(|&n| points_per_node(n) == 39).collect();
        assert_eq!(fewer, [7, 14, 28, 49, 56, 98, 103, 112]);
        assert!((1..=112).all(|n| fewer.contains(&n) || points_per_node(n) == 40));
    }

    #[test]
    fn one_block_and_many_are_one_hash() {
        let text = [b'x'; 130];
        for len in 0..=text.len() {
            let digest = Md5::digest(&text[..len]);
            assert_eq!(hash(&text[..len]).to_le_bytes(), digest[..4], "{len}");
        }
        // RFC 1321, A.5.
        assert_eq!(hash(b"abc").to_le_bytes(), [0x90, 0x01, 0x50, 0x98]);
    }

    #[test]
    fn what_is_not_utf8_is_hashed_as_its_replacement() {
        for (bytes, text) in [
            (&b"caf\xe9"[..], "caf\u{fffd}"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"a\xe6\x97", "a\u{fffd}"),
            ("caf\u{e9}".as_bytes(), "caf\u{e9}"),
        ] {
            assert_eq!(HashRing::hash_key(bytes), hash(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn points_and_the_gaps_between_them_belong_to_the_next() {
        let names = ["a:1", "b:2", "c:3"];
        let ring = HashRing::new(&names, |_| true);
        let points: Vec<_> = ring.points().collect();
        assert_eq!((points.len(), ring.len()), (120, 120));
        assert_eq!(ring.points_per_node(), 40);
        for pair in points.windows(2) {
            assert_eq!(ring.node_of_hash(pair[1].0), Some(pair[1].1));
            assert_eq!(ring.node_of_hash(pair[0].0 + 1), Some(pair[1].1));
        }
        let (first, last) = (points[0], points[119]);
        assert_eq!(ring.node_of_hash(0), Some(first.1));
        assert_eq!(ring.node_of_hash(first.0), Some(first.1));
        assert_eq!(ring.node_of_hash(last.0), Some(last.1));
        assert_eq!(ring.node_of_hash(last.0 + 1), Some(first.1));
        assert_eq!(ring.node_of_hash(u32::MAX), Some(first.1));
    }

    #[test]
    fn without_nodes_there_is_none() {
        for ring in [
            HashRing::default(),
            HashRing::new::<&str>(&[], |_| true),
            HashRing::new(&["a:1"], |_| false),
        ] {
            assert!(ring.is_empty());
            assert_eq!(
                (ring.len(), ring.points().len(), ring.points_per_node()),
                (0, 0, 0)
            );
            assert_eq!(ring.node_of_key(b"foo"), None);
        }
    }
}
