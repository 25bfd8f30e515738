//! Sets of backends to balance over.

use std::net::SocketAddr;
use std::sync::Arc;

use balance::{Algorithm, Backend, BackendSpec, HealthPolicy, Lease, Picker, Pool, WhenAllDown};

pub(crate) fn addr(nth: usize) -> SocketAddr {
    let port = 1_000 + u16::try_from(nth).expect("fleets are small");
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(crate) fn spec(nth: usize, weight: u32) -> BackendSpec {
    BackendSpec {
        name: format!("b{nth}"),
        addr: addr(nth),
        weight,
        max_connections: None,
    }
}

/// Backends of these weights, without a limit, and with the default policy.
pub(crate) fn fleet(weights: &[u32]) -> Vec<Arc<Backend>> {
    (0..)
        .zip(weights)
        .map(|(nth, &weight)| Backend::new(spec(nth, weight), HealthPolicy::default()))
        .collect()
}

pub(crate) fn pool(algorithm: Algorithm, fleet: &[Arc<Backend>]) -> Pool {
    let name = "test".to_owned();
    Pool::new(name, fleet.to_vec(), algorithm, WhenAllDown::Fail, 0)
}

/// A place on a backend for a connection of no known source that has tried none.
pub(crate) fn pick(pool: &Pool, picker: &mut Picker, now_ms: u64) -> Lease {
    pool.pick(picker, now_ms, None, &[])
        .expect("a backend is up, as the test has it")
}

/// Which of the fleet that is.
pub(crate) fn index(fleet: &[Arc<Backend>], lease: &Lease) -> usize {
    fleet
        .iter()
        .position(|backend| Arc::ptr_eq(backend, lease.backend()))
        .expect("a lease is of a backend of the pool")
}

/// How often each was picked when every connection ends before the next.
pub(crate) fn spread(pool: &Pool, picker: &mut Picker, picks: usize, now_ms: u64) -> Vec<u64> {
    let mut counts = vec![0; pool.backends().len()];
    for _ in 0..picks {
        let lease = pick(pool, picker, now_ms);
        counts[index(pool.backends(), &lease)] += 1;
    }
    counts
}

/// Whether a count of `picks` tries of that probability is within six standard deviations:
/// one in half a thousand million tests fails by chance.
pub(crate) fn plausible(count: u64, picks: usize, probability: f64) -> bool {
    let expected = picks as f64 * probability;
    let deviation = (expected * (1.0 - probability)).sqrt();
    (count as f64 - expected).abs() <= 6.0 * deviation + 1.0
}
