//! The health of a node as a state machine: outcomes of checks and refusals in, a status
//! and its history out. It does no I/O.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// How many changes of a node are kept: one that flaps once a minute shows its last hour.
const HISTORY: usize = 64;

/// How often each refusal after the first doubles how many checks have to pass: 64 times
/// as many, so that with ten seconds between checks a node that says that it is up and takes
/// no lines loses some every ten minutes, and not at every check.
const MOST_DOUBLINGS: u32 = 6;

/// For how many passed checks a node has to stay up until its refusals are forgotten: as
/// many as it takes at most to come back.
const FORGIVEN_AFTER: u32 = 1 << MOST_DOUBLINGS;

/// What is known of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Nothing yet.
    Unknown,
    /// It takes lines.
    Up,
    /// It does not.
    Down,
}

impl Status {
    /// As it is logged.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// How many results in a row it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// Passed checks until a node that is down counts as up.
    pub(super) rise: u32,
    /// Failed checks until a node that is up counts as down.
    pub(super) fall: u32,
}

/// One change of a node's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Transition {
    pub(super) unix_ms: u64,
    pub(super) from: Status,
    pub(super) to: Status,
    pub(super) why: String,
}

/// How many checks a node has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Checks {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

/// The health of one node.
#[derive(Clone, Debug)]
pub(super) struct Health {
    rules: Rules,
    status: Status,
    /// Results in a row that speak against the status.
    against: u32,
    /// When its host sent a datagram back, if it did since it was up.
    refused_at: Option<Instant>,
    /// How often that took it down, until it is forgotten. A check tells that the admin port
    /// is alive, but not that lines arrive: the oftener it was wrong, the more it takes.
    refusals: u32,
    /// Checks that passed while it was up.
    proven: u32,
    checks: Checks,
    history: VecDeque<Transition>,
}

impl Health {
    /// Of a node of which nothing is known.
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            status: Status::Unknown,
            against: 0,
            refused_at: None,
            refusals: 0,
            proven: 0,
            checks: Checks::default(),
            history: VecDeque::new(),
        }
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    pub(super) fn is_up(&self) -> bool {
        self.status == Status::Up
    }

    pub(super) fn checks(&self) -> Checks {
        self.checks
    }

    /// The last changes, oldest first.
    pub(super) fn history(&self) -> impl Iterator<Item = &Transition> {
        self.history.iter()
    }

    /// The last change.
    pub(super) fn last(&self) -> Option<&Transition> {
        self.history.back()
    }

    pub(super) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// A check passed. Says whether that changed the status, as all of these do.
    pub(super) fn passed(&mut self) -> bool {
        self.checks.passed += 1;
        match self.status {
            Status::Unknown => self.become_(Status::Up, "first check passed".to_owned()),
            Status::Up => {
                self.against = 0;
                self.prove();
                false
            }
            Status::Down => {
                self.against += 1;
                let rise = self.rules.rise.saturating_mul(self.demand());
                self.against >= rise && self.become_(Status::Up, in_a_row(rise, "passed"))
            }
        }
    }

    /// A check failed.
    pub(super) fn failed(&mut self, why: &str) -> bool {
        self.checks.failed += 1;
        match self.status {
            Status::Unknown => self.become_(Status::Down, format!("first check failed: {why}")),
            Status::Down => {
                self.against = 0;
                false
            }
            Status::Up => {
                self.against += 1;
                let fall = self.rules.fall;
                self.against >= fall && {
                    let why = format!("{}: {why}", in_a_row(fall, "failed"));
                    self.become_(Status::Down, why)
                }
            }
        }
    }

    /// Its host said that nobody listens on the port: that needs no second opinion.
    ///
    /// The first time, it takes as many passed checks as ever until it is up: it may only
    /// have started again. Each time that it refuses again after that, it takes twice as
    /// many as the time before, up to 64 times as many, until it stays up for 64 checks.
    pub(super) fn refused(&mut self, now: Instant) -> bool {
        self.refused_at = Some(now);
        // Checks that passed before say nothing of the time after.
        self.against = 0;
        if self.status == Status::Down {
            return false;
        }
        self.refusals = self.refusals.saturating_add(1);
        let why = "its host refuses datagrams (ICMP port unreachable)";
        self.become_(Status::Down, why.to_owned())
    }

    /// It is not checked, or no longer: it counts as up unless it was refused less than
    /// `patience` ago, or a multiple of that if it is refused again and again.
    pub(super) fn unchecked(&mut self, now: Instant, patience: Duration) -> bool {
        let patience = patience.saturating_mul(self.demand());
        match (self.status, self.refused_at) {
            (Status::Up, _) => {
                self.prove();
                false
            }
            (Status::Down, Some(at)) if now.duration_since(at) < patience => false,
            (Status::Down, Some(_)) => {
                let why = "tried again: there is no admin port to ask".to_owned();
                self.become_(Status::Up, why)
            }
            _ => self.become_(Status::Up, "there is no admin port to ask".to_owned()),
        }
    }

    /// Whatever it refused counts no more: there is somebody else at its place.
    pub(super) fn forget_refusals(&mut self) {
        self.refusals = 0;
    }

    /// How many times as much as usual it takes until it is up again.
    fn demand(&self) -> u32 {
        let again = self.refusals.saturating_sub(1).min(MOST_DOUBLINGS);
        match self.refused_at {
            Some(_) => 1 << again,
            None => 1,
        }
    }

    /// It has stayed up until now.
    fn prove(&mut self) {
        self.proven = self.proven.saturating_add(1);
        if self.proven >= FORGIVEN_AFTER {
            self.forget_refusals();
        }
    }

    /// There is no address to send to.
    pub(super) fn unresolved(&mut self, why: &str) -> bool {
        self.status != Status::Down && self.become_(Status::Down, why.to_owned())
    }

    /// There is an address now, and the next check is like the first.
    pub(super) fn resolved(&mut self, why: &str) -> bool {
        self.status != Status::Unknown && self.become_(Status::Unknown, why.to_owned())
    }

    fn become_(&mut self, to: Status, why: String) -> bool {
        self.against = 0;
        self.proven = 0;
        if to == Status::Up {
            self.refused_at = None;
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let unix_ms = now.map_or(0, |now| now.as_millis() as u64);
        // The time of day may be set back; a history never runs backwards.
        let unix_ms = self
            .last()
            .map_or(unix_ms, |last| unix_ms.max(last.unix_ms));
        let from = std::mem::replace(&mut self.status, to);
        self.history.push_back(Transition {
            unix_ms,
            from,
            to,
            why,
        });
        true
    }
}

fn in_a_row(count: u32, what: &str) -> String {
    match count {
        1 => format!("a check {what}"),
        _ => format!("{count} checks in a row {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(rise: u32, fall: u32) -> Health {
        Health::new(Rules { rise, fall })
    }

    #[test]
    fn the_first_check_decides_and_then_it_takes_several_in_a_row() {
        let mut node = health(2, 3);
        assert!(node.passed() && node.is_up());
        assert!(!node.failed("x") && !node.failed("x") && !node.passed());
        assert!(!node.failed("x") && !node.failed("x") && node.is_up());
        assert!(node.failed("silence") && !node.is_up());
        assert!(!node.passed() && !node.failed("x") && !node.passed() && !node.is_up());
        assert!(node.passed() && node.is_up());
        let why: Vec<_> = node.history().map(|one| one.why.as_str()).collect();
        let expected = [
            "first check passed",
            "3 checks in a row failed: silence",
            "2 checks in a row passed",
        ];
        assert_eq!(why, expected);
        let (passed, failed) = (5, 6);
        assert_eq!(node.checks(), Checks { passed, failed });
        assert!(health(1, 1).failed("x"));
    }

    #[test]
    fn a_refusal_counts_at_once_and_checks_start_over() {
        let mut node = health(2, 3);
        node.passed();
        assert!(node.refused(Instant::now()) && !node.is_up());
        assert!(!node.passed());
        assert!(!node.refused(Instant::now()));
        assert!(!node.passed() && node.passed());
    }

    /// How many checks have to pass until it is up.
    fn passes_until_up(node: &mut Health) -> u32 {
        let passes = (1..1_000).find(|_| node.passed());
        passes.expect("it comes back")
    }

    #[test]
    fn refusals_that_recur_take_more_passes_each_until_it_stays_up() {
        let (now, mut node) = (Instant::now(), health(2, 1));
        node.passed();
        let needs: Vec<_> = (0..9)
            .map(|_| {
                assert!(node.refused(now) && !node.refused(now));
                passes_until_up(&mut node)
            })
            .collect();
        assert_eq!(needs, [2, 4, 8, 16, 32, 64, 128, 128, 128]);
        // A failed check between is none that passed in a row.
        assert!(node.refused(now) && !node.passed() && !node.failed("x"));
        assert_eq!(passes_until_up(&mut node), 128);
        // To be down for another reason takes no more than ever.
        assert!(node.failed("x"));
        assert_eq!(passes_until_up(&mut node), 2);
        assert!(node.refused(now));
        assert_eq!(passes_until_up(&mut node), 128);
        // Not quite long enough, and then long enough.
        assert!((1..FORGIVEN_AFTER).all(|_| !node.passed()) && node.refused(now));
        assert_eq!(passes_until_up(&mut node), 128);
        assert!((0..FORGIVEN_AFTER).all(|_| !node.passed()) && node.refused(now));
        assert_eq!(passes_until_up(&mut node), 2);
    }

    #[test]
    fn somebody_else_at_its_place_has_refused_nothing() {
        let (now, mut node) = (Instant::now(), health(1, 1));
        for _ in 0..3 {
            node.passed();
            node.refused(now);
        }
        node.forget_refusals();
        assert_eq!(passes_until_up(&mut node), 1);
    }

    #[test]
    fn a_node_that_cannot_be_asked_is_tried_less_often_while_it_refuses() {
        let (mut now, patience) = (Instant::now(), Duration::from_secs(10));
        let mut node = health(1, 1);
        node.unchecked(now, patience);
        for waits in [1, 2, 4, 8, 16, 32, 64, 64] {
            assert!(node.refused(now));
            let ticks = (1..100).find(|_| {
                now += patience;
                node.unchecked(now, patience)
            });
            assert_eq!(ticks, Some(waits));
        }
        for _ in 0..FORGIVEN_AFTER {
            assert!(!node.unchecked(now, patience));
        }
        assert!(node.refused(now) && node.unchecked(now + patience, patience));
    }

    #[test]
    fn a_node_that_cannot_be_asked_is_up_until_it_refuses_and_is_tried_again() {
        let (now, patience) = (Instant::now(), Duration::from_secs(10));
        let mut node = health(1, 1);
        assert!(node.unchecked(now, patience) && !node.unchecked(now, patience));
        assert!(node.refused(now));
        assert!(!node.unchecked(now + patience / 2, patience) && !node.is_up());
        assert!(node.unchecked(now + patience, patience) && node.is_up());
    }

    #[test]
    fn the_last_changes_are_kept() {
        let mut node = health(1, 1);
        for _ in 0..100 {
            assert!(node.passed() && node.failed("x"));
        }
        assert_eq!(node.history().count(), HISTORY);
    }
}
