//! Active checks, the operator's word, and the journal of both.

use std::sync::atomic::Ordering;

use balance::{AdminState, Backend, CheckState, HISTORY, HealthPolicy, Status, Transition};
use proptest::prelude::*;

use crate::fleet::spec;

fn backend(rise: u32, fall: u32) -> std::sync::Arc<Backend> {
    let policy = HealthPolicy {
        rise,
        fall,
        ..HealthPolicy::default()
    };
    Backend::new(spec(0, 1), policy)
}

/// From, to and when, without the reason.
fn brief(transitions: &[Transition]) -> Vec<(Status, Status, u64)> {
    transitions
        .iter()
        .map(|one| (one.from, one.to, one.at_ms))
        .collect()
}

/// What checks make of a backend, looked up in the list of all results so far.
fn by_the_book(results: &[bool], rise: usize, fall: usize) -> CheckState {
    let Some((&first, rest)) = results.split_first() else {
        return CheckState::Unknown;
    };
    let (mut up, mut since) = (first, 0);
    for end in 1..=rest.len() {
        let needed = if up { fall } else { rise };
        let last = &rest[since..end];
        if last.len() >= needed
            && last[last.len() - needed..]
                .iter()
                .all(|&passed| passed != up)
        {
            (up, since) = (!up, end);
        }
    }
    if up { CheckState::Up } else { CheckState::Down }
}

proptest! {
    #[test]
    fn checks_rise_and_fall_by_the_book(
        rise in 0u32..5,
        fall in 0u32..5,
        results in prop::collection::vec(any::<bool>(), 0..60),
    ) {
        let backend = backend(rise, fall);
        let mut changes = Vec::new();
        let mut shown = Status::Unknown;
        for end in 1..=results.len() {
            let now_ms = 10 * end as u64;
            if results[end - 1] {
                backend.check_passed(now_ms);
            } else {
                backend.check_failed(now_ms, "refused");
            }
            let (rise, fall) = (rise.max(1) as usize, fall.max(1) as usize);
            let expected = by_the_book(&results[..end], rise, fall);
            prop_assert_eq!(backend.check_state(), expected);
            let status = backend.status(now_ms);
            prop_assert_eq!(status.takes_connections(), expected != CheckState::Down);
            if status != shown {
                changes.push((shown, status, now_ms));
                shown = status;
            }
        }
        let counters = backend.counters();
        let passed = counters.checks_passed.load(Ordering::Relaxed);
        prop_assert_eq!(passed, results.iter().filter(|&&passed| passed).count() as u64);
        let failed = counters.checks_failed.load(Ordering::Relaxed);
        prop_assert_eq!(passed + failed, results.len() as u64);
        prop_assert_eq!(counters.transitions.load(Ordering::Relaxed), changes.len() as u64);
        prop_assert_eq!(brief(&backend.history()), changes);
    }

    /// Every kind of event, at times that only grow, with anything read in between.
    #[test]
    fn the_journal_tells_every_change_once_and_in_order(
        events in prop::collection::vec((0u8..12, 0u64..3_000, any::<bool>()), 1..60),
    ) {
        let policy = HealthPolicy {
            rise: 2,
            fall: 2,
            eject_after: 2,
            eject_base_ms: 1_000,
            eject_max_ms: 4_000,
            slow_start_ms: 700,
        };
        let backend = Backend::new(spec(0, 1), policy);
        let (mut now_ms, mut told) = (0, Vec::new());
        for (event, pause_ms, take) in events {
            now_ms += pause_ms;
            match event {
                0 | 1 => backend.check_passed(now_ms),
                2 | 3 => backend.check_failed(now_ms, "refused"),
                4..=6 => backend.dial_failed(now_ms, "refused"),
                7 => backend.dial_succeeded(now_ms, 100),
                8 => backend.was_reset(now_ms, true),
                9 => backend.set_admin(AdminState::Draining, now_ms),
                10 => backend.set_admin(AdminState::Disabled, now_ms),
                _ => backend.set_admin(AdminState::Enabled, now_ms),
            }
            if take {
                let before = backend.status(now_ms);
                backend.tick(now_ms);
                prop_assert_eq!(backend.status(now_ms), before, "a tick only writes down");
                told.extend(backend.take_transitions());
                prop_assert_eq!(backend.take_transitions(), vec![]);
                prop_assert_eq!(told.last().map_or(Status::Unknown, |one| one.to), before);
            }
        }
        backend.tick(now_ms);
        told.extend(backend.take_transitions());
        let mut shown = (Status::Unknown, 0);
        for (number, one) in (1..).zip(&told) {
            prop_assert_eq!((one.number, one.from), (number, shown.0));
            prop_assert!(one.at_ms >= shown.1 && one.at_ms <= now_ms);
            prop_assert_ne!(one.from, one.to);
            shown = (one.to, one.at_ms);
        }
        prop_assert_eq!(shown.0, backend.status(now_ms));
        prop_assert_eq!(backend.counters().transitions.load(Ordering::Relaxed), told.len() as u64);
        let kept = told.len().saturating_sub(HISTORY);
        prop_assert_eq!(&backend.history()[..], &told[kept..]);
    }
}

#[test]
fn a_disabled_backend_ignores_late_results_and_starts_unchecked() {
    let backend = backend(1, 1);
    backend.check_failed(0, "refused");
    backend.set_admin(AdminState::Disabled, 10);
    backend.check_passed(20);
    assert_eq!(backend.check_state(), CheckState::Down);
    assert_eq!(backend.status(20), Status::Disabled);
    backend.set_admin(AdminState::Enabled, 30);
    assert_eq!(backend.status(30), Status::Unknown);
    backend.check_failed(40, "refused");
    assert_eq!(backend.status(40), Status::Down);
}

#[test]
fn a_draining_backend_is_checked_on() {
    let backend = backend(1, 1);
    backend.set_admin(AdminState::Draining, 10);
    backend.check_failed(20, "refused");
    assert_eq!(backend.status(20), Status::Draining);
    backend.set_admin(AdminState::Enabled, 30);
    assert_eq!(backend.status(30), Status::Down);
    let why: Vec<_> = backend.history().into_iter().map(|one| one.why).collect();
    assert_eq!(why, ["drained by the operator", "enabled by the operator"]);
}

#[test]
fn checks_that_stop_do_not_leave_a_backend_down() {
    let backend = backend(1, 1);
    backend.check_failed(0, "refused");
    backend.checks_stopped(10);
    assert_eq!(backend.status(10), Status::Unknown);
}

#[test]
fn reasons_say_what_happened() {
    let backend = backend(2, 3);
    backend.check_passed(0);
    for now_ms in 1..=3 {
        backend.check_failed(now_ms, "connection refused");
    }
    backend.check_passed(4);
    backend.check_passed(5);
    let why: Vec<_> = backend
        .take_transitions()
        .into_iter()
        .map(|one| one.why)
        .collect();
    let expected = [
        "first check passed",
        "3 checks in a row failed: connection refused",
        "2 checks in a row passed",
    ];
    assert_eq!(why, expected);
}
