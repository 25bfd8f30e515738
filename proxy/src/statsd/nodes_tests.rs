use tokio::sync::mpsc::unbounded_channel;

use super::*;
use crate::statsd::plan::Origin;

/// Members that were found up, and the plan that they come from.
fn members(nodes: &[&str]) -> (Members, Plan) {
    let line: Vec<_> = nodes.iter().flat_map(|node| ["--node", node]).collect();
    let plan = Origin::of_line(&line).plan().unwrap().plan;
    let found = plan.nodes.iter().map(|at| {
        let ip = Ok(at.host.parse().unwrap());
        let outcome = Some(Outcome::Healthy);
        (at.name(), Found { ip, outcome })
    });
    let mut members = Members::new(plan.checks, unbounded_channel().0);
    members.replace(&plan, Arc::new(plan.ring()), found.collect());
    (members, plan)
}

fn ip(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

#[tokio::test]
async fn what_workers_count_after_a_node_has_moved_counts() {
    let (mut members, _) = members(&["127.0.0.1:1"]);
    let member = &mut members.list[0];
    // As a worker has it, until it hears of the move.
    let old = Arc::clone(&member.node);
    let count = |node: &Node, lines| node.counters.lines.fetch_add(lines, Ordering::Relaxed);
    count(&old, 1);
    old.counters.held_lines.store(1, Ordering::Relaxed);
    member.move_to(ip(2));
    count(&old, 2);
    count(&member.node, 4);
    assert_eq!((member.sent().lines, member.sent().held_lines), (7, 1));
    member.move_to(ip(3));
    count(&old, 8);
    assert_eq!((member.sent().lines, member.leaving.len()), (15, 1));
    old.counters.held_lines.store(0, Ordering::Relaxed);
    drop(old);
    // What nobody counts for any more is not kept for ever.
    member.move_to(ip(4));
    assert_eq!((member.sent().lines, member.leaving.len()), (15, 0));
    assert_eq!(member.sent().held_lines, 0);
}

#[tokio::test]
async fn a_node_that_moves_is_not_blamed_for_what_was_refused_elsewhere() {
    let (mut members, _) = members(&["127.0.0.1:1"]);
    let member = &mut members.list[0];
    for _ in 0..5 {
        while member.health.passed() || !member.health.is_up() {}
        assert!(member.health.refused(Instant::now()));
    }
    assert!(!member.health.passed());
    member.move_to(ip(2));
    assert!(member.health.passed());
}

#[tokio::test]
async fn the_ring_over_all_nodes_is_made_once_for_all_that_becomes_of_them() {
    let (mut members, plan) = members(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]);
    let before = members.settings(&plan);
    assert!(Arc::ptr_eq(&before.whole, &before.live));
    let event = Event {
        id: members.list[1].id,
        outcome: Some(Outcome::Unhealthy("gone".to_owned())),
    };
    assert!(members.checked(&event));
    let after = members.settings(&plan);
    assert!(Arc::ptr_eq(&before.whole, &after.whole));
    assert_eq!(after.up, [true, false, true]);
    let names: Vec<_> = plan.nodes.iter().map(NodeAt::name).collect();
    let expected = HashRing::new(&names, |nth| nth != 1);
    assert!(after.live.points().eq(expected.points()));
}
