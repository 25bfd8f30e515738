//! How long choosing a backend takes: `cargo bench -p balance`.

use std::hint::black_box;

use balance::{Algorithm, Backend, BackendSpec, HealthPolicy, Picker, Pool, WhenAllDown};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn pool(algorithm: Algorithm, backends: u16) -> Pool {
    let backends = (0..backends)
        .map(|nth| {
            let spec = BackendSpec {
                name: format!("b{nth}"),
                addr: ([127, 0, 0, 1], 1_000 + nth).into(),
                weight: 1,
                max_connections: None,
            };
            let backend = Backend::new(spec, HealthPolicy::default());
            backend.check_passed(0);
            backend
        })
        .collect();
    Pool::new(
        "bench".to_owned(),
        backends,
        algorithm,
        WhenAllDown::Fail,
        0,
    )
}

/// From the pick to the end of the connection, with nothing else open.
fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    for algorithm in Algorithm::ALL {
        for backends in [3, 64] {
            let pool = pool(algorithm, backends);
            let mut picker = Picker::new(1);
            let mut source = 0_u32;
            group.bench_function(BenchmarkId::new(algorithm.name(), backends), |bencher| {
                bencher.iter(|| {
                    source = source.wrapping_add(1);
                    let source = Some(source.to_be_bytes().into());
                    let lease = pool.pick(&mut picker, black_box(5), source, &[]);
                    lease.map(|lease| {
                        lease.dial_succeeded(5, 100);
                        lease.addr()
                    })
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pick);
criterion_main!(benches);
