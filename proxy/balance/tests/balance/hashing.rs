//! Consistent hashing with bounded loads.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use balance::{AdminState, Algorithm, BOUND_FACTOR, Backend, Picker};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::fleet::{addr, fleet, index, pool};

const KEYS: u32 = 2_000;

fn source(key: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + key).into()
}

/// The address that each key goes to when there is no load.
fn homes(fleet: &[Arc<Backend>]) -> Vec<std::net::SocketAddr> {
    let pool = pool(Algorithm::Hash, fleet);
    let mut picker = Picker::new(1);
    (0..KEYS)
        .map(|key| {
            pool.pick(&mut picker, 0, Some(source(key)), &[])
                .expect("a backend is up, as the test has it")
                .addr()
        })
        .collect()
}

proptest! {
    // What is left to chance is bounded, not excluded: always the same cases.
    #![proptest_config(ProptestConfig {
        cases: 48,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_backend_is_loaded_above_its_bound(
        weights in prop::collection::vec(1u32..=16, 1..10),
        keys in prop::collection::vec((0u32..40, any::<prop::sample::Index>(), any::<bool>()), 1..400),
    ) {
        let fleet = fleet(&weights);
        let pool = pool(Algorithm::Hash, &fleet);
        let total_weight: u64 = weights.iter().copied().map(u64::from).sum();
        let mut picker = Picker::new(1);
        let mut leases = Vec::new();
        for (key, ended, end) in keys {
            if end && !leases.is_empty() {
                drop(leases.swap_remove(ended.index(leases.len())));
            }
            let lease = pool.pick(&mut picker, 0, Some(source(key)), &[]).unwrap();
            let weight = u64::from(weights[index(&fleet, &lease)]);
            let active = u64::from(lease.active());
            leases.push(lease);
            let (factor, per) = BOUND_FACTOR;
            let bound = (factor * leases.len() as u64 * weight).div_ceil(per * total_weight);
            prop_assert!(active <= bound, "{} connections where {} may be", active, bound);
        }
    }

    #[test]
    fn removing_a_backend_moves_only_its_own_keys(
        weights in prop::collection::vec(1u32..=4, 2..12),
        removed in any::<prop::sample::Index>(),
    ) {
        let mut fleet = fleet(&weights);
        let before = homes(&fleet);
        let removed = fleet.remove(removed.index(weights.len()));
        for (before, after) in before.iter().zip(homes(&fleet)) {
            prop_assert_ne!(after, removed.addr());
            prop_assert!(*before == after || *before == removed.addr());
        }
    }

    #[test]
    fn adding_a_backend_moves_its_share_and_to_it_alone(
        weights in prop::collection::vec(1u32..=4, 2..12),
    ) {
        let fleet = fleet(&weights);
        let (added, rest) = fleet.split_last().unwrap();
        let mut moved = 0;
        for (before, after) in homes(rest).iter().zip(homes(&fleet)) {
            if *before != after {
                prop_assert_eq!(after, added.addr());
                moved += 1;
            }
        }
        let share = f64::from(added.weight()) / f64::from(weights.iter().sum::<u32>());
        let due = share * f64::from(KEYS);
        prop_assert!((0.5 * due..=1.6 * due).contains(&f64::from(moved)), "{moved} for {due}");
    }

    #[test]
    fn more_weight_takes_keys_and_gives_none(
        weights in prop::collection::vec(1u32..=4, 2..8),
    ) {
        let before = homes(&fleet(&weights));
        let mut heavier = weights.clone();
        heavier[0] += 1;
        for (before, after) in before.iter().zip(homes(&fleet(&heavier))) {
            prop_assert!(*before == after || after == addr(0));
        }
    }

    #[test]
    fn keys_are_spread_by_weight(weights in prop::collection::vec(1u32..=4, 2..8)) {
        let homes = homes(&fleet(&weights));
        let total: u32 = weights.iter().sum();
        for (nth, &weight) in weights.iter().enumerate() {
            let count = homes.iter().filter(|home| **home == addr(nth)).count() as f64;
            let due = f64::from(KEYS * weight) / f64::from(total);
            prop_assert!((0.6 * due..=1.5 * due).contains(&count), "{} for {}", count, due);
        }
    }

    #[test]
    fn a_backend_that_is_out_gives_its_keys_to_the_next_and_gets_them_back(
        n in 2usize..10,
        out in any::<prop::sample::Index>(),
    ) {
        let fleet = fleet(&vec![1; n]);
        let before = homes(&fleet);
        let out = &fleet[out.index(n)];
        out.set_admin(AdminState::Draining, 0);
        let without = homes(&fleet);
        out.set_admin(AdminState::Enabled, 0);
        prop_assert_eq!(&homes(&fleet), &before);
        // The next is the same one that a connection gets that has tried the first.
        let pool = pool(Algorithm::Hash, &fleet);
        let mut picker = Picker::new(1);
        for (key, (before, without)) in (0..KEYS).zip(before.into_iter().zip(without)) {
            if before == out.addr() {
                let second = pool.pick(&mut picker, 0, Some(source(key)), &[before]).unwrap();
                prop_assert_eq!(second.addr(), without);
            } else {
                prop_assert_eq!(before, without);
            }
        }
    }
}

#[test]
fn a_mapped_address_is_the_address_that_it_maps() {
    let fleet = fleet(&[1; 8]);
    let pool = pool(Algorithm::Hash, &fleet);
    let mut picker = Picker::new(1);
    for key in 0..50 {
        let IpAddr::V4(v4) = source(key) else {
            unreachable!("sources are IPv4")
        };
        let plain = pool
            .pick(&mut picker, 0, Some(v4.into()), &[])
            .unwrap()
            .addr();
        let mapped = IpAddr::V6(v4.to_ipv6_mapped());
        assert_eq!(
            pool.pick(&mut picker, 0, Some(mapped), &[]).unwrap().addr(),
            plain
        );
    }
}

#[test]
fn the_greatest_weights_still_share_evenly() {
    let fleet = fleet(&[256; 40]);
    let homes = homes(&fleet);
    for nth in 0..40 {
        let count = homes.iter().filter(|home| **home == addr(nth)).count();
        assert!((20..=90).contains(&count), "{count} where 50 are due");
    }
}
