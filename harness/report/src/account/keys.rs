//! Keys that changed their node.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::flow::Node;

/// How many keys came to more than one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Different keys that came.
    pub total: u64,
    /// Whether every server kept all of them.
    pub complete: bool,
    /// Those that came to more than one server.
    pub moved: u64,
    /// Those among them that moved between servers to which nothing had happened: whoever
    /// hashes consistently moves none.
    pub needless: u64,
}

/// Looks through what the servers saw. `disturbed` are those that went away, came back, or
/// were put into the ring or taken out of it. None if no server tells of keys.
#[must_use]
pub fn moved(nodes: &[Node], disturbed: &BTreeSet<String>) -> Option<Keys> {
    let mut where_to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut complete = true;
    for node in nodes {
        complete &= node.lost_records() == 0;
        for record in node.lives.iter().flatten() {
            complete &= record.keys_complete;
            for key in record.keys.keys() {
                where_to.entry(key).or_default().insert(&node.name);
            }
        }
    }
    if where_to.is_empty() {
        return None;
    }
    let calm = |nodes: &BTreeSet<&str>| {
        let calm = nodes.iter().filter(|node| !disturbed.contains(**node));
        calm.count()
    };
    Some(Keys {
        total: where_to.len() as u64,
        complete,
        moved: where_to.values().filter(|nodes| nodes.len() > 1).count() as u64,
        needless: where_to.values().filter(|nodes| calm(nodes) > 1).count() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::sink::{KeySeen, SinkRecord};

    fn node(name: &str, keys: &[&str]) -> Node {
        let keys = keys
            .iter()
            .map(|key| ((*key).to_owned(), KeySeen { lines: 1 }));
        Node {
            name: name.to_owned(),
            lives: vec![Some(SinkRecord {
                keys: keys.collect(),
                keys_complete: true,
                ..SinkRecord::default()
            })],
            ..Node::default()
        }
    }

    #[test]
    fn keys_of_a_node_that_went_away_have_a_reason_to_move() {
        let mut nodes = vec![
            node("upstream.0", &["a", "b", "x"]),
            node("upstream.1", &["b", "c"]),
            node("upstream.2", &["c", "x"]),
        ];
        let disturbed = BTreeSet::from(["upstream.1".to_owned()]);
        let keys = moved(&nodes, &disturbed).unwrap();
        assert_eq!((keys.total, keys.moved, keys.needless), (4, 3, 1));
        assert!(keys.complete);
        assert_eq!(moved(&nodes, &BTreeSet::new()).unwrap().needless, 3);
        nodes[0].lives.push(None);
        assert!(!moved(&nodes, &disturbed).unwrap().complete);
        assert_eq!(moved(&[node("upstream", &[])], &disturbed), None);
    }
}
