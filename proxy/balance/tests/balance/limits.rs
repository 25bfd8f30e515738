//! Connection limits and the queue hold, whoever races whom.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use balance::{Algorithm, Backend, HealthPolicy, NoBackend, Picker, Pool, WhenAllDown};

use crate::fleet::{index, pick, spec};

const LIMIT: u32 = 3;
const WORKERS: u64 = 6;

#[test]
fn workers_never_overshoot_a_limit_together() {
    for algorithm in Algorithm::ALL {
        let fleet: Vec<_> = (0..3)
            .map(|nth| {
                let mut spec = spec(nth, 1);
                spec.max_connections = Some(LIMIT);
                Backend::new(spec, HealthPolicy::default())
            })
            .collect();
        let name = "limited".to_owned();
        let pool = Pool::new(name, fleet.clone(), algorithm, WhenAllDown::Fail, 0);
        let held = [const { AtomicU32::new(0) }; 3];
        let full = AtomicU32::new(0);
        thread::scope(|scope| {
            for seed in 0..WORKERS {
                let (pool, held, full, fleet) = (&pool, &held, &full, &fleet);
                scope.spawn(move || {
                    let mut picker = Picker::new(seed);
                    for turn in 0..3_000u32 {
                        let source = Some([10, 0, 0, turn as u8].into());
                        // Holding several at once makes them meet at the limit.
                        let leases: Vec<_> = (0..2)
                            .map(|_| pool.pick(&mut picker, 0, source, &[]))
                            .collect();
                        for lease in &leases {
                            match lease {
                                Ok(lease) => {
                                    let held = &held[index(fleet, lease)];
                                    let now = held.fetch_add(1, Ordering::SeqCst) + 1;
                                    assert!(now <= LIMIT, "{now} with {algorithm}");
                                }
                                Err(error) => {
                                    assert_eq!(*error, NoBackend::AllFull);
                                    full.fetch_add(1, Ordering::Relaxed);
                                }
                            }
                        }
                        for lease in leases.into_iter().flatten() {
                            held[index(fleet, &lease)].fetch_sub(1, Ordering::SeqCst);
                            drop(lease);
                        }
                    }
                });
            }
        });
        assert!(fleet.iter().all(|backend| backend.active() == 0));
        let counted = pool.counters().all_full.load(Ordering::Relaxed);
        assert_eq!(counted, u64::from(full.into_inner()));
    }
}

#[test]
fn a_limit_is_used_up_to_the_last_place_and_a_lowered_one_holds() {
    let mut spec = spec(0, 1);
    spec.max_connections = Some(2);
    let backend = Backend::new(spec.clone(), HealthPolicy::default());
    let pool = crate::fleet::pool(Algorithm::P2c, std::slice::from_ref(&backend));
    let mut picker = Picker::new(1);
    let mut leases: Vec<_> = (0..2).map(|_| pick(&pool, &mut picker, 0)).collect();
    let mut pick = || pool.pick(&mut picker, 0, None, &[]);
    assert_eq!(pick().unwrap_err(), NoBackend::AllFull);
    spec.max_connections = Some(1);
    backend.reconfigure(&spec, HealthPolicy::default(), 0);
    leases.pop();
    assert_eq!(pick().unwrap_err(), NoBackend::AllFull);
    leases.pop();
    assert!(pick().is_ok());
    spec.max_connections = None;
    backend.reconfigure(&spec, HealthPolicy::default(), 0);
    assert_eq!(backend.spec(), spec);
}

#[test]
fn the_queue_has_as_many_places_as_it_says_over_a_reload_too() {
    let pool = |max_queue| {
        Pool::new(
            "queue".to_owned(),
            Vec::new(),
            Algorithm::P2c,
            WhenAllDown::Fail,
            max_queue,
        )
    };
    let before = pool(2);
    let first = before.queue().unwrap();
    let _second = before.queue().unwrap();
    assert!(before.queue().is_none());
    let after = pool(3).following(&before);
    assert_eq!(after.waiting(), 2);
    let _third = after.queue().unwrap();
    assert!(after.queue().is_none());
    drop(first);
    assert!(after.queue().is_some());
    assert_eq!(after.counters().queued.load(Ordering::Relaxed), 4);
    assert_eq!(after.counters().queue_full.load(Ordering::Relaxed), 2);
    assert!(pool(0).queue().is_none());
}
