//! Following the lines from one to the next: how many did not come, and who tells why.
//!
//! Kernels and hosts count datagrams, everybody else counts lines. Lines that are missing
//! between two parties are put down to what was told in datagrams, in proportion where
//! several things were told; a line is put down to something only as far as datagrams of
//! it are missing.

use super::sink::SinkRecord;
use super::told::{Told, ToldNode};

/// What the clients sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Numbered lines.
    pub lines: u64,
    /// Lines of garbage.
    pub garbage: u64,
    /// Datagrams of both.
    pub datagrams: u64,
    /// Lines in one datagram at most.
    pub most_lines: u64,
}

/// A server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What the proxy tells of it; none if it does not know it any more.
    pub told: Option<ToldNode>,
    /// What each of its lives saw; none for one that left no record.
    pub lives: Vec<Option<SinkRecord>>,
    /// Whether it was away for a while.
    pub was_gone: bool,
}

impl Node {
    fn records(&self) -> impl Iterator<Item = &SinkRecord> {
        self.lives.iter().flatten()
    }

    /// Lines that came, as far as it is known.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.records().map(|record| record.lines).sum()
    }

    /// Datagrams that came, likewise.
    #[must_use]
    pub fn datagrams(&self) -> u64 {
        self.records().map(|record| record.datagrams).sum()
    }

    /// Datagrams that the kernel dropped at its sockets.
    #[must_use]
    pub fn kernel_drops(&self) -> u64 {
        self.records()
            .filter_map(|record| record.kernel_drops)
            .sum()
    }

    /// Lives that left no record.
    #[must_use]
    pub fn lost_records(&self) -> u64 {
        self.lives.iter().filter(|life| life.is_none()).count() as u64
    }
}

/// Lines that are missing, by what is told of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// In the kernel before the proxy.
    pub kernel_before: u64,
    /// Sent back by the servers' hosts.
    pub refused: u64,
    /// In the kernel before the servers.
    pub kernel_behind: u64,
    /// With servers that were gone, or whose record was.
    pub died: u64,
}

/// What is told of lines that never came to the proxy, and of those behind it.
#[must_use]
pub fn through_proxy(sent: &Sent, told: &Told, nodes: &[Node]) -> Lost {
    let not_read = (sent.lines + sent.garbage).saturating_sub(told.lines.received);
    let mut lost = Lost {
        kernel_before: not_read.min(told.kernel_drops.saturating_mul(sent.most_lines)),
        ..Lost::default()
    };
    let mut forgotten = Node::default();
    for node in nodes {
        match &node.told {
            Some(told) => lost.add(behind(told, node)),
            None => {
                forgotten.lives.extend(node.lives.iter().cloned());
                forgotten.was_gone |= node.was_gone;
            }
        }
    }
    if !forgotten.lives.is_empty() {
        lost.add(behind(&rest(told), &forgotten));
    }
    lost
}

/// What was sent to servers that the proxy does not know any more: all that was sent, less
/// what went to the others.
fn rest(told: &Told) -> ToldNode {
    let sum = |count: fn(&ToldNode) -> u64| told.nodes.iter().map(count).sum::<u64>();
    ToldNode {
        address: None,
        mirrored: told
            .lines
            .mirrored
            .saturating_sub(sum(|node| node.mirrored)),
        lines: told.lines.forwarded.saturating_sub(sum(|node| node.lines)),
        datagrams: told
            .datagrams
            .forwarded
            .saturating_sub(sum(|node| node.datagrams)),
        refused: told
            .datagrams
            .refused
            .saturating_sub(sum(|node| node.refused)),
    }
}

/// What is told of lines that went to a server and did not come.
fn behind(told: &ToldNode, node: &Node) -> Lost {
    let lines = (told.lines + told.mirrored).saturating_sub(node.lines());
    let missing = told.datagrams.saturating_sub(node.datagrams());
    let kernel = node.kernel_drops().min(missing);
    let refused = told.refused.min(missing - kernel);
    let [kernel, refused, rest] = divided(lines, [kernel, refused, missing - kernel - refused]);
    let is_known = node.was_gone || node.lost_records() > 0;
    Lost {
        kernel_before: 0,
        refused,
        kernel_behind: kernel,
        died: if is_known { rest } else { 0 },
    }
}

/// What is told of lines that went to the servers with nobody between.
#[must_use]
pub fn direct(sent: &Sent, nodes: &[Node]) -> Lost {
    let first = nodes.first().cloned().unwrap_or_default();
    let told = ToldNode {
        lines: sent.lines + sent.garbage,
        datagrams: sent.datagrams,
        ..ToldNode::default()
    };
    behind(&told, &first)
}

/// What is known of lines that went through somebody who tells nothing: the kernel's drops
/// at its sockets, if anybody looked, and at those of the servers. `missing` is all that did
/// not come.
#[must_use]
pub fn through_nobody(sent: &Sent, missing: u64, before: Option<u64>, nodes: &[Node]) -> Lost {
    let kernel_before = missing.min(before.unwrap_or(0).saturating_mul(sent.most_lines));
    let [lines, datagrams, drops] = [Node::lines, Node::datagrams, Node::kernel_drops]
        .map(|count| nodes.iter().map(count).sum::<u64>());
    // What was dropped was as full as what came.
    let per_datagram = lines.div_ceil(datagrams.max(1)).max(1);
    Lost {
        kernel_before,
        kernel_behind: (missing - kernel_before).min(drops.saturating_mul(per_datagram)),
        ..Lost::default()
    }
}

impl Lost {
    fn add(&mut self, other: Self) {
        self.kernel_before += other.kernel_before;
        self.refused += other.refused;
        self.kernel_behind += other.kernel_behind;
        self.died += other.died;
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.kernel_before + self.refused + self.kernel_behind + self.died
    }
}

/// A sum in whole parts, in proportion to the weights, the last parts first where it does
/// not divide. Nothing is given to a weight of 0; all parts are 0 if all weights are.
fn divided(sum: u64, weights: [u64; 3]) -> [u64; 3] {
    let mut parts = [0; 3];
    let (mut left, mut weight_left) = (
        u128::from(sum),
        weights.iter().map(|w| u128::from(*w)).sum::<u128>(),
    );
    for (part, weight) in parts.iter_mut().zip(weights) {
        let weight = u128::from(weight);
        if weight > 0 {
            let given = left * weight / weight_left;
            *part = u64::try_from(given).unwrap_or(u64::MAX);
            left -= given;
            weight_left -= weight;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_divided_adds_up(sum in 0_u64..1 << 40, weights in proptest::array::uniform3(0_u64..1 << 40)) {
            let parts = divided(sum, weights);
            let has_weight = weights.iter().any(|weight| *weight > 0);
            prop_assert_eq!(parts.iter().sum::<u64>(), if has_weight { sum } else { 0 });
            for (part, weight) in parts.iter().zip(weights) {
                prop_assert!(weight > 0 || *part == 0);
            }
        }
    }

    fn record(lines: u64, datagrams: u64, kernel_drops: u64) -> Option<SinkRecord> {
        Some(SinkRecord {
            lines,
            datagrams,
            kernel_drops: Some(kernel_drops),
            ..SinkRecord::default()
        })
    }

    fn node(told: [u64; 3], lives: Vec<Option<SinkRecord>>, was_gone: bool) -> Node {
        let [lines, datagrams, refused] = told;
        Node {
            told: Some(ToldNode {
                lines,
                datagrams,
                refused,
                ..ToldNode::default()
            }),
            lives,
            was_gone,
            ..Node::default()
        }
    }

    fn lost(node: &Node) -> [u64; 3] {
        let lost = behind(node.told.as_ref().unwrap(), node);
        [lost.refused, lost.kernel_behind, lost.died]
    }

    #[test]
    fn what_did_not_come_is_put_down_to_what_was_told() {
        let cases = [
            (
                "all came",
                node([100, 10, 0], vec![record(100, 10, 0)], false),
                [0, 0, 0],
            ),
            (
                "kernel",
                node([100, 10, 0], vec![record(80, 8, 2)], false),
                [0, 20, 0],
            ),
            (
                "refused",
                node([100, 10, 2], vec![record(80, 8, 0)], false),
                [20, 0, 0],
            ),
            (
                "both",
                node([100, 10, 1], vec![record(79, 8, 1)], false),
                [11, 10, 0],
            ),
            (
                "nobody tells",
                node([100, 10, 0], vec![record(80, 8, 0)], false),
                [0, 0, 0],
            ),
            (
                "it was away",
                node([100, 10, 1], vec![record(80, 8, 0)], true),
                [10, 0, 10],
            ),
            (
                "its record is lost",
                node([100, 10, 0], vec![None, record(30, 3, 0)], false),
                [0, 0, 70],
            ),
            (
                "no datagram is missing",
                node([100, 10, 5], vec![record(90, 10, 3)], true),
                [0, 0, 0],
            ),
        ];
        for (what, node, expected) in cases {
            assert_eq!(lost(&node), expected, "{what}");
        }
    }
}
