//! How fast statsd lines are found and judged: `cargo bench -p protocol --bench statsd`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use protocol::statsd::{self, Reassembler};

/// Datagrams of so many lines, as load carries them.
fn datagram(lines: usize) -> Vec<u8> {
    let lines: Vec<_> = (0..lines)
        .map(|nth| format!("load.k{nth:06}:{}|c", 4_711 + nth))
        .collect();
    lines.join("\n").into_bytes()
}

/// From a datagram to lines and their keys.
fn lines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lines and keys");
    for count in [1, 10, 60] {
        let datagram = datagram(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                statsd::lines(black_box(&datagram))
                    .map(|line| statsd::key(line).len())
                    .sum::<usize>()
            });
        });
    }
    group.finish();
}

/// Judging one line.
fn well_formed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("is_well_formed");
    for (name, line) in [
        ("counter", &b"load.k000017:4711|c"[..]),
        ("timer with rate", b"app.request.time:3.25|ms|@0.1"),
        (
            "with tags",
            b"app.request.time:3.25|d|#env:prod,region:eu-west-1,host:a1b2c3",
        ),
        ("no type", b"app.request.count.of.something:12345"),
    ] {
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| {
            bencher.iter(|| statsd::is_well_formed(black_box(line)));
        });
    }
    group.finish();
}

/// Lines from a stream, read 16 KiB at a time.
fn reassembler(criterion: &mut Criterion) {
    let mut stream = datagram(10_000);
    stream.push(b'\n');
    let mut group = criterion.benchmark_group("reassembler");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("16 KiB reads", |bencher| {
        bencher.iter(|| {
            let mut reassembler = Reassembler::default();
            let mut bytes = 0;
            for read in black_box(&stream).chunks(16_384) {
                reassembler.push(read, |line| bytes += line.len());
            }
            bytes
        });
    });
    group.finish();
}

criterion_group!(benches, lines, well_formed, reassembler);
criterion_main!(benches);
