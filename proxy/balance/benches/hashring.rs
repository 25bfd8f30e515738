//! How long finding a metric's node takes: `cargo bench -p balance --bench hashring`.

use std::hint::black_box;

use balance::hashring::HashRing;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// How many keys one iteration looks up: the time shown is for all of them, the throughput
/// is that of one.
const BATCH: usize = 1_000;

fn ring(nodes: usize) -> HashRing {
    let names: Vec<_> = (0..nodes)
        .map(|nth| format!("10.0.{}.{}:8125", nth / 250, nth % 250))
        .collect();
    HashRing::new(&names, |_| true)
}

fn keys(distinct: usize) -> Vec<String> {
    (0..distinct)
        .map(|nth| format!("app.request.k{nth:06}"))
        .collect()
}

/// From a key's bytes to its node, for rings of several sizes and many keys: nothing
/// remembers a key, so that neither should matter much.
fn node_of_key(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("node_of_key");
    group.throughput(Throughput::Elements(BATCH as u64));
    for nodes in [3, 10, 100] {
        let ring = ring(nodes);
        for distinct in [10, 1_000, 100_000, 1_000_000] {
            let keys = keys(distinct);
            let name = BenchmarkId::new(format!("{nodes} nodes"), format!("{distinct} keys"));
            group.bench_function(name, |bencher| {
                let mut keys = keys.iter().cycle();
                bencher.iter(|| {
                    let batch = keys.by_ref().take(BATCH);
                    batch
                        .filter_map(|key| ring.node_of_key(black_box(key.as_bytes())))
                        .map(u64::from)
                        .sum::<u64>()
                });
            });
        }
    }
    group.finish();
}

/// The lookup alone, of hashes that are anywhere.
fn node_of_hash(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("node_of_hash");
    group.throughput(Throughput::Elements(BATCH as u64));
    for nodes in [3, 10, 100, 1_000] {
        let ring = ring(nodes);
        group.bench_function(BenchmarkId::from_parameter(nodes), |bencher| {
            let mut hash = 1_u32;
            bencher.iter(|| {
                (0..BATCH)
                    .filter_map(|_| {
                        hash = hash.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        ring.node_of_hash(black_box(hash))
                    })
                    .map(u64::from)
                    .sum::<u64>()
            });
        });
    }
    group.finish();
}

/// Making a ring: what a node that dies or returns costs.
fn new(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("new");
    for nodes in [3, 100] {
        group.bench_function(BenchmarkId::from_parameter(nodes), |bencher| {
            bencher.iter(|| ring(black_box(nodes)).len());
        });
    }
    group.finish();
}

criterion_group!(benches, node_of_key, node_of_hash, new);
criterion_main!(benches);
