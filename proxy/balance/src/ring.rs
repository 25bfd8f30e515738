//! The hash ring of a pool: consistent hashing (Karger and others, 1997) with a number of
//! points for each backend in proportion to its weight, as ketama and HAProxy's
//! `hash-type consistent` place them.

use std::net::{IpAddr, SocketAddr};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Points for each unit of weight: with that many the shares of equal backends differ by
/// about a tenth, and bounding the loads evens out the rest.
const POINTS_PER_WEIGHT: u32 = 128;

/// About how many points a ring may have, 2 MiB of them. Pools of more weight get fewer for
/// each unit, halved until they fit, so that the points that stay are where they were; but
/// one for each unit there always is.
const MAX_POINTS: u64 = 1 << 17;

/// A place on the ring, and the index of the backend that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    at: u64,
    member: u32,
}

/// The points of all backends of a pool, in order.
///
/// A backend's points follow from its address and weight alone: when one comes or goes,
/// only the keys next to its points move.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    points: Vec<Point>,
}

impl Ring {
    /// A ring of these addresses with these weights.
    pub(crate) fn new(members: impl Iterator<Item = (SocketAddr, u32)> + Clone) -> Self {
        let weights: u64 = members.clone().map(|(_, weight)| u64::from(weight)).sum();
        let mut per_weight = POINTS_PER_WEIGHT;
        while per_weight > 1 && weights * u64::from(per_weight) > MAX_POINTS {
            per_weight /= 2;
        }
        let mut points: Vec<_> = (0u32..)
            .zip(members)
            .flat_map(|(member, (addr, weight))| {
                let place = place(addr);
                (0..weight * per_weight).map(move |nth| Point {
                    at: xxh3_64_with_seed(&place, u64::from(nth)),
                    member,
                })
            })
            .collect();
        points.sort_unstable();
        Self { points }
    }

    /// The backends in the order in which the ring names them for a source, each many times.
    pub(crate) fn walk(&self, source: IpAddr) -> impl Iterator<Item = usize> {
        let key = match source.to_canonical() {
            IpAddr::V4(ip) => xxh3_64(&ip.octets()),
            IpAddr::V6(ip) => xxh3_64(&ip.octets()),
        };
        let first = self.points.partition_point(|point| point.at < key);
        let (before, after) = self.points.split_at(first);
        after
            .iter()
            .chain(before)
            .map(|point| point.member as usize)
    }
}

/// An address as bytes to hash.
fn place(addr: SocketAddr) -> [u8; 18] {
    let ip = match addr.ip().to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut place = [0; 18];
    place[..16].copy_from_slice(&ip.octets());
    place[16..].copy_from_slice(&addr.port().to_be_bytes());
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(members: u16, weight: u32) -> Ring {
        let addr = |nth| SocketAddr::from(([127, 0, 0, 1], nth));
        Ring::new((0..members).map(|nth| (addr(nth), weight)))
    }

    #[test]
    fn points_are_in_proportion_and_bounded() {
        assert_eq!(ring(3, 2).points.len(), 3 * 2 * 128);
        let most = ring(40, 256).points.len() as u64;
        assert!((MAX_POINTS / 2..=MAX_POINTS).contains(&most), "{most}");
        // One for each unit of weight there always is.
        assert_eq!(ring(1_000, 256).points.len(), 256_000);
    }

    #[test]
    fn with_fewer_points_for_each_the_ones_that_stay_are_where_they_were() {
        let (few, many) = (ring(4, 256), ring(5, 256));
        assert_eq!(
            (few.points.len(), many.points.len()),
            (4 * 256 * 128, 5 * 256 * 64)
        );
        let of_the_few = many.points.iter().filter(|point| point.member < 4);
        assert!(
            of_the_few
                .clone()
                .all(|point| few.points.binary_search(point).is_ok())
        );
        assert_eq!(of_the_few.count(), 4 * 256 * 64);
    }

    #[test]
    fn a_walk_goes_once_around() {
        let ring = ring(5, 1);
        for last in 0..=255 {
            let mut seen = [0; 5];
            ring.walk([10, 0, 0, last].into())
                .for_each(|member| seen[member] += 1);
            assert_eq!(seen, [128; 5]);
        }
    }
}
