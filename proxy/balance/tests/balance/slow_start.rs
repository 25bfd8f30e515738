//! A backend that comes back gets its share bit by bit.

use balance::{AdminState, Algorithm, Backend, HealthPolicy, Picker, Status};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::fleet::{fleet, plausible, pool, spec, spread};

const POLICY: HealthPolicy = HealthPolicy {
    rise: 1,
    fall: 1,
    eject_after: 1,
    eject_base_ms: 500,
    eject_max_ms: 500,
    slow_start_ms: 1_000,
};

proptest! {
    // What is left to chance is bounded, not excluded: always the same cases.
    #![proptest_config(ProptestConfig {
        cases: 32,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_share_grows_linearly(
        weight in 1u32..=256,
        other in 1u32..=256,
        elapsed_ms in 1u64..1_500,
        seed in any::<u64>(),
    ) {
        let mut fleet = fleet(&[other]);
        let backend = Backend::new(spec(1, weight), POLICY);
        fleet.push(backend.clone());
        backend.check_failed(1_000, "refused");
        backend.check_passed(5_000);
        let now_ms = 5_000 + elapsed_ms;
        let ramping = elapsed_ms < 1_000;
        prop_assert_eq!(backend.status(now_ms) == Status::SlowStart, ramping);
        let share = f64::from(weight) * (elapsed_ms as f64 / 1_000.0).min(1.0);
        let pool = pool(Algorithm::Random, &fleet);
        let count = spread(&pool, &mut Picker::new(seed), 5_000, now_ms)[1];
        prop_assert!(plausible(count, 5_000, share / (share + f64::from(other))));
    }
}

#[test]
fn the_very_first_start_is_not_slow() {
    let backend = Backend::new(spec(0, 1), POLICY);
    assert_eq!(backend.status(0), Status::Unknown);
    backend.check_passed(10);
    assert_eq!(backend.status(10), Status::Up);
}

#[test]
fn coming_back_is_slow_however_it_was_out() {
    let backend = Backend::new(spec(0, 1), POLICY);
    backend.check_failed(0, "refused");
    backend.check_passed(100);
    assert_eq!(backend.status(100), Status::SlowStart);
    assert_eq!(backend.status(1_099), Status::SlowStart);
    assert_eq!(backend.status(1_100), Status::Up);
    backend.dial_failed(2_000, "refused");
    assert_eq!(backend.status(2_499), Status::Ejected { until_ms: 2_500 });
    assert_eq!(backend.status(2_500), Status::SlowStart);
    assert_eq!(backend.status(3_500), Status::Up);
    backend.set_admin(AdminState::Disabled, 4_000);
    backend.set_admin(AdminState::Enabled, 5_000);
    assert_eq!(backend.status(5_000), Status::SlowStart);
    assert_eq!(backend.status(6_000), Status::Unknown);
    backend.set_admin(AdminState::Draining, 7_000);
    backend.set_admin(AdminState::Enabled, 8_000);
    assert_eq!(backend.status(8_000), Status::Unknown);
}

#[test]
fn it_begins_when_an_ejection_really_ends() {
    let early = Backend::new(spec(0, 1), POLICY);
    early.dial_failed(0, "refused");
    early.check_passed(100);
    assert_eq!(early.status(1_099), Status::SlowStart);
    assert_eq!(early.status(1_100), Status::Up);

    // Down and up again while it is ejected for resets, which no check speaks against.
    let late = Backend::new(spec(0, 1), POLICY);
    late.was_reset(0, true);
    late.check_failed(100, "refused");
    late.check_passed(200);
    assert_eq!(late.status(499), Status::Ejected { until_ms: 500 });
    assert_eq!(late.status(1_499), Status::SlowStart);
    assert_eq!(late.status(1_500), Status::Up);
}

#[test]
fn one_that_is_alone_gets_all_from_the_first_moment() {
    for algorithm in Algorithm::ALL {
        let backend = Backend::new(spec(0, 1), POLICY);
        backend.check_failed(0, "refused");
        backend.check_passed(100);
        let pool = pool(algorithm, &[backend]);
        let source = Some([10, 0, 0, 1].into());
        assert!(pool.pick(&mut Picker::new(1), 100, source, &[]).is_ok());
    }
}
