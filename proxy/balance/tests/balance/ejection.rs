//! Passive ejection: back-off, probation, and what does not eject.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use balance::{AdminState, Algorithm, Backend, HealthPolicy, Picker, Status};
use proptest::prelude::*;

use crate::fleet::{addr, fleet, pick, pool, spec};

fn policy(eject_after: u32, base_ms: u64, max_ms: u64) -> HealthPolicy {
    HealthPolicy {
        rise: 2,
        fall: 2,
        eject_after,
        eject_base_ms: base_ms,
        eject_max_ms: max_ms,
        slow_start_ms: 0,
    }
}

/// Fails dials until the backend is ejected: after how many, and until when.
fn fail(backend: &Backend, now_ms: u64) -> (u32, u64) {
    for failed in 1..1_000 {
        backend.dial_failed(now_ms, "connection refused");
        if let Status::Ejected { until_ms } = backend.status(now_ms) {
            return (failed, until_ms);
        }
    }
    panic!("never ejected");
}

fn backend(policy: HealthPolicy) -> Arc<Backend> {
    Backend::new(spec(0, 1), policy)
}

proptest! {
    #[test]
    fn each_ejection_in_a_row_lasts_twice_as_long(
        eject_after in 1u32..6,
        base_ms in 1u64..10_000,
        max_ms in 1u64..1_000_000,
        start_ms in 0u64..1_000_000,
    ) {
        let backend = backend(policy(eject_after, base_ms, max_ms));
        let (mut now_ms, mut lasts_ms) = (start_ms, base_ms);
        for round in 0..20 {
            let (failed, until_ms) = fail(&backend, now_ms);
            // After the first, on probation: a single failure is enough.
            prop_assert_eq!(failed, if round == 0 { eject_after } else { 1 });
            prop_assert_eq!(until_ms - now_ms, lasts_ms);
            prop_assert_eq!(backend.status(until_ms - 1), Status::Ejected { until_ms });
            prop_assert_eq!(backend.status(until_ms), Status::Unknown);
            lasts_ms = (lasts_ms * 2).min(max_ms.max(base_ms));
            now_ms = until_ms;
        }
        prop_assert_eq!(backend.counters().ejections.load(Ordering::Relaxed), 20);
        prop_assert_eq!(backend.counters().dial_failures.load(Ordering::Relaxed), u64::from(eject_after) + 19);
    }

    #[test]
    fn only_failures_in_a_row_eject(
        eject_after in 1u32..6,
        dials in prop::collection::vec(any::<bool>(), 1..100),
    ) {
        let backend = backend(policy(eject_after, 1_000, 1_000));
        let mut in_a_row = 0;
        for succeeded in dials {
            if succeeded {
                backend.dial_succeeded(5, 100);
                in_a_row = 0;
            } else {
                backend.dial_failed(5, "refused");
                in_a_row += 1;
            }
            let ejected = matches!(backend.status(5), Status::Ejected { .. });
            prop_assert_eq!(ejected, in_a_row == eject_after);
            if ejected {
                return Ok(());
            }
        }
    }
}

#[test]
fn a_backend_that_behaves_is_forgiven_step_by_step() {
    let rounds = |calm_ms: u64| {
        let backend = backend(policy(1, 1_000, 64_000));
        let mut now_ms = 0;
        for _ in 0..4 {
            now_ms = fail(&backend, now_ms).1;
        }
        // The last lasted 8 s, the next would last 16 s.
        now_ms += calm_ms;
        fail(&backend, now_ms).1 - now_ms
    };
    let next_ms = [0, 7_999, 8_000, 11_999, 12_000, 14_000, 15_000, 100_000].map(rounds);
    assert_eq!(
        next_ms,
        [16_000, 16_000, 8_000, 8_000, 4_000, 2_000, 1_000, 1_000]
    );
}

#[test]
fn any_failure_begins_the_time_of_calm_anew() {
    let backend = backend(policy(2, 1_000, 64_000));
    let mut now_ms = 0;
    for _ in 0..3 {
        now_ms = fail(&backend, now_ms).1;
    }
    backend.dial_succeeded(now_ms, 100);
    // The next would last 8 s, and 4 s of calm halve that, were it not for the failures.
    for _ in 0..5 {
        now_ms += 3_000;
        backend.dial_failed(now_ms, "refused");
        backend.dial_succeeded(now_ms, 100);
    }
    assert_eq!(fail(&backend, now_ms), (2, now_ms + 8_000));
}

#[test]
fn the_operator_wipes_the_slate_by_disabling_and_enabling() {
    let backend = backend(policy(2, 1_000, 64_000));
    let (_, until_ms) = fail(&backend, 0);
    fail(&backend, until_ms);
    backend.set_admin(AdminState::Disabled, until_ms + 1);
    backend.set_admin(AdminState::Enabled, until_ms + 2);
    assert_eq!(backend.status(until_ms + 2), Status::Unknown);
    assert_eq!(fail(&backend, until_ms + 3), (2, until_ms + 1_003));
}

#[test]
fn a_success_ends_the_probation() {
    let backend = backend(policy(3, 1_000, 8_000));
    let (_, until_ms) = fail(&backend, 0);
    backend.dial_succeeded(until_ms, 100);
    assert_eq!(fail(&backend, until_ms), (3, until_ms + 2_000));
}

#[test]
fn resets_before_the_first_byte_eject_though_dials_succeed() {
    let backend = backend(policy(3, 1_000, 8_000));
    let reset = |now_ms, before_first_byte| {
        backend.dial_succeeded(now_ms, 100);
        backend.was_reset(now_ms, before_first_byte);
        backend.status(now_ms).takes_connections()
    };
    assert!(
        (0..9).all(|now_ms| reset(now_ms, false)),
        "resets after it do not"
    );
    assert!(reset(10, true) && reset(11, true));
    backend.first_byte(12, 500);
    assert!(reset(13, true) && reset(14, true));
    backend.ended_well(15);
    assert!(reset(16, true) && reset(17, true) && !reset(18, true));
    // On probation, a dial that succeeds proves nothing; a first byte does.
    assert!(!reset(1_018, true));
    backend.first_byte(3_018, 500);
    assert!(reset(3_019, true));
    assert_eq!(backend.counters().resets.load(Ordering::Relaxed), 18);
}

#[test]
fn failures_of_connections_begun_before_it_do_not_prolong_an_ejection() {
    let backend = backend(policy(2, 1_000, 8_000));
    let (_, until_ms) = fail(&backend, 0);
    for now_ms in 1..100 {
        backend.dial_timed_out(now_ms, 3_000_000);
    }
    assert_eq!(backend.status(99), Status::Ejected { until_ms });
    assert_eq!(backend.counters().ejections.load(Ordering::Relaxed), 1);
    assert_eq!(backend.counters().dial_timeouts.load(Ordering::Relaxed), 99);
}

#[test]
fn passed_checks_end_an_ejection_for_failed_dials_only() {
    let refused = backend(policy(2, 60_000, 60_000));
    fail(&refused, 0);
    refused.check_passed(10);
    refused.check_failed(20, "refused");
    refused.check_passed(30);
    assert!(!refused.status(30).takes_connections());
    refused.check_passed(40);
    assert_eq!(refused.status(40), Status::Up);
    assert_eq!(fail(&refused, 50).0, 1, "it is on probation all the same");

    let resetting = backend(policy(2, 60_000, 60_000));
    for now_ms in 0..2 {
        resetting.was_reset(now_ms, true);
    }
    for now_ms in 10..20 {
        resetting.check_passed(now_ms);
    }
    assert_eq!(
        resetting.status(59_999),
        Status::Ejected { until_ms: 60_001 }
    );
}

#[test]
fn zero_never_ejects_and_neither_does_one_that_is_known_to_be_down() {
    let never = backend(policy(0, 1_000, 1_000));
    let down = backend(policy(1, 1_000, 1_000));
    down.check_failed(0, "refused");
    for now_ms in 0..100 {
        never.dial_failed(now_ms, "refused");
        never.was_reset(now_ms, true);
        down.dial_failed(now_ms, "refused");
    }
    assert_eq!(never.status(100), Status::Unknown);
    assert_eq!(down.counters().ejections.load(Ordering::Relaxed), 0);
}

#[test]
fn picking_is_right_without_a_tick_and_a_tick_writes_it_down() {
    let fleet = fleet(&[1, 1]);
    let pool = pool(Algorithm::P2c, &fleet);
    let mut picker = Picker::new(3);
    let (_, until_ms) = fail(&fleet[0], 100);
    let mut picked = |now_ms| (0..100).any(|_| pick(&pool, &mut picker, now_ms).addr() == addr(0));
    assert!(!picked(until_ms - 1));
    assert!(picked(until_ms));
    pool.tick(until_ms - 1);
    assert_eq!(fleet[0].take_transitions().len(), 1);
    pool.tick(until_ms + 300);
    let told = fleet[0].take_transitions();
    assert_eq!(
        (told.len(), told[0].at_ms, told[0].to),
        (1, until_ms, Status::Unknown)
    );
    assert_eq!(told[0].why, "ejection over");
}

#[test]
fn ejections_never_take_out_the_last_backends() {
    let fleet = fleet(&[1, 1, 1]);
    let pool = pool(Algorithm::RoundRobin, &fleet);
    let mut picker = Picker::new(5);
    fleet[2].check_failed(0, "refused");
    for backend in &fleet[..2] {
        while backend.status(0).takes_connections() {
            backend.was_reset(0, true);
        }
    }
    for _ in 0..10 {
        assert_ne!(pick(&pool, &mut picker, 1).addr(), addr(2));
    }
    let despite_down = &pool.counters().despite_down;
    assert_eq!(despite_down.load(Ordering::Relaxed), 10);
    // As soon as another is well, they are left alone.
    for _ in 0..3 {
        fleet[2].check_passed(2);
    }
    for _ in 0..10 {
        assert_eq!(pick(&pool, &mut picker, 3).addr(), addr(2));
    }
    assert_eq!(despite_down.load(Ordering::Relaxed), 10);
}
