//! How fast the codec and the line scanner are: `cargo bench -p protocol`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::foo::{Answer, Grammar, MAX_LINE_BYTES, Message, Scanner};

/// Valid requests of 32 bytes each, 16 KiB of them: what one read brings.
fn requests() -> Vec<u8> {
    let mut bytes = Vec::new();
    for seq in 100_000..100_512 {
        bytes.extend_from_slice(format!("REQ {seq} 0123456789abcdefghij\n").as_bytes());
    }
    assert_eq!(bytes.len(), 512 * 32);
    bytes
}

fn scanner(criterion: &mut Criterion) {
    let requests = requests();
    let mut noise: Vec<u8> = (0..16_384_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    noise.push(b'\n');
    let mut group = criterion.benchmark_group("scan");
    for (name, bytes) in [("valid 32-byte lines", &requests), ("random bytes", &noise)] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut scanner = Scanner::new(Grammar::Strict, MAX_LINE_BYTES);
                let mut rest = black_box(&bytes[..]);
                let mut good = 0;
                while let Some(scanned) = scanner.scan(rest) {
                    good += usize::from(scanned.verdict.is_ok());
                    rest = &rest[scanned.len..];
                }
                good
            });
        });
    }
    group.finish();
}

fn codec(criterion: &mut Criterion) {
    let requests = requests();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(512));
    group.bench_function("read a request, write its answer", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            let mut rest = black_box(&requests[..]);
            while let Some((message, len)) = Message::next(rest) {
                if let Ok(message) = message {
                    Answer::to(message.seq, message.data).encode(&mut out);
                }
                rest = &rest[len..];
            }
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, scanner, codec);
criterion_main!(benches);
