//! Only backends that may be picked are picked, and a refusal says why.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use balance::{
    AdminState, Algorithm, Backend, HealthPolicy, NoBackend, Picker, Pool, Status, WhenAllDown,
};
use proptest::prelude::*;

use crate::fleet::{addr, fleet, spec};

/// What befalls a backend of the fleet, or how a connection asks for one.
#[derive(Clone, Debug)]
enum Event {
    Check(usize, bool),
    Dial(usize, bool),
    Reset(usize),
    Admin(usize, AdminState),
    Pause(u64),
    Pick {
        tried: Vec<usize>,
        source: Option<u8>,
    },
    EndOne(prop::sample::Index),
}

fn event() -> impl Strategy<Value = Event> {
    let one = 0usize..5;
    let admin = prop::sample::select(vec![
        AdminState::Enabled,
        AdminState::Enabled,
        AdminState::Draining,
        AdminState::Disabled,
    ]);
    let tried = prop::collection::vec(one.clone(), 0..3);
    prop_oneof![
        2 => (one.clone(), any::<bool>()).prop_map(|(nth, passed)| Event::Check(nth, passed)),
        2 => (one.clone(), prop::bool::weighted(0.3)).prop_map(|(nth, ok)| Event::Dial(nth, ok)),
        1 => one.clone().prop_map(Event::Reset),
        1 => (one, admin).prop_map(|(nth, state)| Event::Admin(nth, state)),
        1 => (0u64..2_000).prop_map(Event::Pause),
        8 => (tried, any::<Option<u8>>())
            .prop_map(|(tried, source)| Event::Pick { tried, source }),
        2 => any::<prop::sample::Index>().prop_map(Event::EndOne),
    ]
}

/// The answer due, from what each backend shows to everyone: those that may be picked.
fn due(
    fleet: &[Arc<Backend>],
    now_ms: u64,
    policy: WhenAllDown,
    tried: &[SocketAddr],
) -> Result<Vec<SocketAddr>, NoBackend> {
    let among = |fit: &dyn Fn(&Backend) -> bool| {
        let fit: Vec<_> = fleet.iter().filter(|backend| fit(backend)).collect();
        let untried = fit
            .iter()
            .filter(|backend| !tried.contains(&backend.addr()));
        let free: Vec<_> = untried
            .clone()
            .filter(|backend| {
                backend
                    .max_connections()
                    .is_none_or(|max| backend.active() < max)
            })
            .map(|backend| backend.addr())
            .collect();
        match (fit.len(), untried.count(), free.len()) {
            (0, _, _) => Err(NoBackend::AllDown),
            (_, 0, _) => Err(NoBackend::NoneLeft),
            (_, _, 0) => Err(NoBackend::AllFull),
            _ => Ok(free),
        }
    };
    match among(&|backend| backend.status(now_ms).takes_connections()) {
        Err(NoBackend::AllDown) => match policy {
            WhenAllDown::Any => among(&|backend| backend.admin_state() == AdminState::Enabled),
            // Ejections never take out the last ones: only failed checks and the operator do.
            WhenAllDown::Fail => {
                among(&|backend| matches!(backend.status(now_ms), Status::Ejected { .. }))
            }
        },
        due => due,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn only_the_eligible_are_picked_whatever_happens(
        algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
        policy in prop::sample::select(WhenAllDown::ALL.to_vec()),
        members in prop::collection::vec((1u32..=256, prop::option::of(1u32..3)), 1..5),
        slow_start_ms in prop::sample::select(vec![0u64, 1_500]),
        events in prop::collection::vec(event(), 1..80),
        seed in any::<u64>(),
    ) {
        let health = HealthPolicy {
            rise: 2,
            fall: 2,
            eject_after: 2,
            eject_base_ms: 1_000,
            eject_max_ms: 4_000,
            slow_start_ms,
        };
        let fleet: Vec<_> = (0..)
            .zip(members)
            .map(|(nth, (weight, max_connections))| {
                let mut spec = spec(nth, weight);
                spec.max_connections = max_connections;
                Backend::new(spec, health)
            })
            .collect();
        let pool = Pool::new("mixed".to_owned(), fleet.clone(), algorithm, policy, 0);
        let mut picker = Picker::new(seed);
        let (mut now_ms, mut leases) = (0, Vec::new());
        let of = |nth: usize| &fleet[nth % fleet.len()];
        for event in events {
            match event {
                Event::Check(nth, true) => of(nth).check_passed(now_ms),
                Event::Check(nth, false) => of(nth).check_failed(now_ms, "refused"),
                Event::Dial(nth, true) => of(nth).dial_succeeded(now_ms, 300),
                Event::Dial(nth, false) => of(nth).dial_failed(now_ms, "refused"),
                Event::Reset(nth) => of(nth).was_reset(now_ms, true),
                Event::Admin(nth, state) => of(nth).set_admin(state, now_ms),
                Event::Pause(pause_ms) => now_ms += pause_ms,
                Event::EndOne(nth) => {
                    if !leases.is_empty() {
                        drop(leases.swap_remove(nth.index(leases.len())));
                    }
                }
                Event::Pick { tried, source } => {
                    let tried: Vec<_> = tried.into_iter().map(addr).collect();
                    let source = source.map(|last| IpAddr::from([10, 0, 0, last]));
                    let due = due(&fleet, now_ms, policy, &tried);
                    match (pool.pick(&mut picker, now_ms, source, &tried), due) {
                        (Ok(lease), Ok(free)) => {
                            prop_assert!(free.contains(&lease.addr()));
                            leases.push(lease);
                        }
                        (Err(error), Err(due)) => prop_assert_eq!(error, due),
                        (got, due) => prop_assert!(false, "{:?} where {:?} was due", got, due),
                    }
                }
            }
        }
    }

    #[test]
    fn a_single_eligible_one_among_many_is_always_found(
        algorithm in prop::sample::select(Algorithm::ALL.to_vec()),
        n in 1usize..150,
        left in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let fleet = fleet(&vec![1; n]);
        let left = left.index(n);
        for (nth, backend) in fleet.iter().enumerate() {
            if nth != left {
                backend.check_failed(0, "refused");
            }
        }
        let pool = crate::fleet::pool(algorithm, &fleet);
        let source = Some([10, 0, 0, 1].into());
        let lease = pool.pick(&mut Picker::new(seed), 0, source, &[]).unwrap();
        prop_assert_eq!(lease.addr(), addr(left));
    }
}

#[test]
fn an_empty_pool_says_so() {
    for algorithm in Algorithm::ALL {
        let pool = crate::fleet::pool(algorithm, &[]);
        let source = Some([10, 0, 0, 1].into());
        let error = pool.pick(&mut Picker::new(1), 0, source, &[]).unwrap_err();
        assert_eq!(error, NoBackend::Empty);
    }
}
