//! Who gets what, and who gets it when one of the nodes is not there.

use std::collections::{BTreeMap, BTreeSet};

use balance::hashring::HashRing;
use serde::Serialize;

/// The answer.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Routes {
    pub(super) nodes: Vec<NodeRoute>,
    pub(super) keys: Vec<KeyRoute>,
}

/// A key and the node that it goes to.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct KeyRoute {
    /// What is not UTF-8 in it is replaced, as it is to find its node.
    pub(super) key: String,
    pub(super) node: String,
}

/// A node, what goes to it, and what if it dies.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct NodeRoute {
    pub(super) name: String,
    /// Points on the ring.
    pub(super) points: usize,
    /// Part of all keys that there can be, 0 to 1.
    pub(super) share: f64,
    /// How many of the given keys.
    pub(super) keys: usize,
    /// Points of each node that is left if this one dies.
    pub(super) points_of_others_if_it_dies: usize,
    /// What moves if this one dies and no other: its own first, the largest share first.
    /// Empty if no node is left.
    pub(super) moves_if_it_dies: Vec<Move>,
}

/// Keys that move from one node to another.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Move {
    /// Not always the node that dies: with another number of nodes, a node may have
    /// another number of points.
    pub(super) from: String,
    pub(super) to: String,
    /// Part of all keys that there can be, 0 to 1.
    pub(super) share: f64,
    /// Which of the given keys.
    pub(super) keys: Vec<String>,
}

impl Routes {
    /// Where these keys go among these nodes.
    pub(super) fn new(names: &[String], keys: &[Vec<u8>]) -> Self {
        let whole = HashRing::new(names, |_| true);
        let keys: Vec<_> = keys
            .iter()
            .map(|key| {
                let text = String::from_utf8_lossy(key).into_owned();
                (text, HashRing::hash_key(key))
            })
            .collect();
        let shares = shares(&whole, &whole);
        let nodes = names.iter().enumerate().map(|(nth, name)| {
            let nth = nth as u16;
            let rest = HashRing::new(names, |node| node != usize::from(nth));
            let own = |(_, hash): &&(String, u32)| whole.node_of_hash(*hash) == Some(nth);
            NodeRoute {
                name: name.clone(),
                points: whole.points_per_node(),
                share: shares.get(&(nth, nth)).copied().unwrap_or_default(),
                keys: keys.iter().filter(own).count(),
                points_of_others_if_it_dies: rest.points_per_node(),
                moves_if_it_dies: moves(names, &keys, &whole, &rest, nth),
            }
        });
        let nodes = nodes.collect();
        let keys = keys
            .iter()
            .filter_map(|(key, hash)| {
                let node = usize::from(whole.node_of_hash(*hash)?);
                Some(KeyRoute {
                    key: key.clone(),
                    node: names[node].clone(),
                })
            })
            .collect();
        Self { nodes, keys }
    }
}

/// What moves when a node dies.
fn moves(
    names: &[String],
    keys: &[(String, u32)],
    whole: &HashRing,
    rest: &HashRing,
    dead: u16,
) -> Vec<Move> {
    let mut moved: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (key, hash) in keys {
        let (from, to) = (whole.node_of_hash(*hash), rest.node_of_hash(*hash));
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            moved.entry((from, to)).or_default().push(key.clone());
        }
    }
    let mut moves: Vec<_> = shares(whole, rest)
        .into_iter()
        .filter(|((from, to), _)| from != to)
        .collect();
    moves.sort_by(|((from, _), share), ((other_from, _), other_share)| {
        let own_first = (*from != dead).cmp(&(*other_from != dead));
        own_first.then(other_share.total_cmp(share))
    });
    moves
        .into_iter()
        .map(|((from, to), share)| Move {
            from: names[usize::from(from)].clone(),
            to: names[usize::from(to)].clone(),
            share,
            keys: moved.remove(&(from, to)).unwrap_or_default(),
        })
        .collect()
}

/// What part of the ring belongs to which node before and to which after. Nothing, if
/// either ring is empty.
fn shares(before: &HashRing, after: &HashRing) -> BTreeMap<(u16, u16), f64> {
    const ALL: f64 = 4_294_967_296.0;
    // Between two neighbouring points of either nothing changes.
    let points = before.points().chain(after.points());
    let ends: BTreeSet<u32> = points.map(|(hash, _)| hash).collect();
    let mut shares = BTreeMap::new();
    let Some(&last) = ends.last() else {
        return shares;
    };
    let mut start = last;
    for end in ends {
        let nodes = (before.node_of_hash(end), after.node_of_hash(end));
        if let (Some(from), Some(to)) = nodes {
            let length = match end.wrapping_sub(start) {
                // A single point has all of it.
                0 => ALL,
                length => f64::from(length),
            };
            *shares.entry((from, to)).or_default() += length / ALL;
        }
        start = end;
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(nodes: usize) -> Vec<String> {
        (0..nodes).map(|nth| format!("10.0.0.{nth}:8125")).collect()
    }

    fn keys(count: usize) -> Vec<Vec<u8>> {
        let key = |nth| format!("app.request.count.{nth}").into_bytes();
        (0..count).map(key).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn nothing_is_lost_and_nothing_is_there_twice(nodes in 1usize..12, count in 0usize..60) {
            let names = names(nodes);
            let routes = Routes::new(&names, &keys(count));
            let all: f64 = routes.nodes.iter().map(|node| node.share).sum();
            prop_assert!((all - 1.0).abs() < 1e-9, "{all}");
            prop_assert_eq!(routes.nodes.iter().map(|node| node.keys).sum::<usize>(), count);
            for node in &routes.nodes {
                let (own, others): (Vec<_>, Vec<_>) =
                    node.moves_if_it_dies.iter().partition(|one| one.from == node.name);
                if nodes == 1 {
                    prop_assert!(own.is_empty() && others.is_empty());
                    continue;
                }
                let moved: f64 = own.iter().map(|one| one.share).sum();
                prop_assert!((moved - node.share).abs() < 1e-9, "{moved}");
                let moved: usize = own.iter().map(|one| one.keys.len()).sum();
                prop_assert_eq!(moved, node.keys);
                prop_assert!(own.iter().all(|one| one.to != node.name && one.share > 0.0));
                // Others keep what is theirs, except where points are fewer.
                let same = node.points == node.points_of_others_if_it_dies;
                prop_assert_eq!(others.is_empty(), same);
            }
        }
    }

    #[test]
    fn the_rings_of_two_and_of_one() {
        let routes = Routes::new(&names(2), &keys(10));
        let [first, second] = &routes.nodes[..] else {
            panic!("two nodes")
        };
        let [moved] = &first.moves_if_it_dies[..] else {
            panic!("all to the other")
        };
        assert_eq!((&moved.from, &moved.to), (&first.name, &second.name));
        assert_eq!(moved.keys.len(), first.keys);
        let one = Routes::new(&names(1), &keys(1));
        assert_eq!(one.nodes[0].share, 1.0);
        assert_eq!(one.nodes[0].points_of_others_if_it_dies, 0);
        assert_eq!(one.keys[0].node, "10.0.0.0:8125");
    }

    #[test]
    fn as_json_it_has_names_and_shares() {
        let routes = Routes::new(&names(1), &[b"caf\xe9".to_vec()]);
        let json = serde_json::to_value(&routes).unwrap();
        let expected = serde_json::json!({
            "nodes": [{
                "name": "10.0.0.0:8125", "points": 40, "share": 1.0, "keys": 1,
                "points_of_others_if_it_dies": 0, "moves_if_it_dies": [],
            }],
            "keys": [{ "key": "caf\u{fffd}", "node": "10.0.0.0:8125" }],
        });
        assert_eq!(json, expected);
    }
}
