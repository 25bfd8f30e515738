//! How fast bytes arrive from a sender that is faster.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use serde_json::json;
use service::clock::mono_ns;

use super::Line;
use super::links::{Links, Over, connect, udp};

/// How long the beginning is let pass, and how long is measured then.
const WARMUP_NS: u64 = 500_000_000;
const MEASURED_NS: u64 = 3_000_000_000;

/// How far off a rate may be.
const BOUND: f64 = 0.05;

/// The rates in KB/s.
const RATES: [u64; 4] = [100, 1_000, 10_000, 100_000];

pub(crate) fn measure(links: &Links, tell: &mut dyn FnMut(Line)) {
    for over in Over::BOTH {
        for rate in RATES {
            let toxic = json!({"type": "bandwidth", "stream": "upstream",
                "attributes": {"rate": rate}});
            let got = match over {
                Over::Tcp => tcp(links, &toxic),
                Over::Udp => datagrams(links, &toxic, rate),
            };
            let (wanted, got) = (rate as f64 / 1e3, got / 1e6);
            let off = got / wanted - 1.0;
            tell(Line::new(
                format!("{} bandwidth {rate} KB/s", over.name()),
                format!("{wanted} MB/s"),
                format!("{got:.3} MB/s ({:+.1} %)", 100.0 * off),
                off.abs() <= BOUND,
            ));
        }
    }
}

fn tcp(links: &Links, toxic: &serde_json::Value) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = listener.local_addr().expect("bound").to_string();
    let link = links.link(Over::Tcp, &upstream, toxic);
    let (mut client, mut server) = connect(&link, &listener);
    std::thread::scope(|scope| {
        scope.spawn(move || while client.write_all(&[7; 65_536]).is_ok() {});
        let mut buffer = vec![0; 262_144];
        let measured = received(|| server.read(&mut buffer).expect("it comes"));
        drop(server);
        links.delete(&link);
        measured
    })
}

fn datagrams(links: &Links, toxic: &serde_json::Value, rate: u64) -> f64 {
    let (client, server) = (udp(), udp());
    let upstream = server.local_addr().expect("bound").to_string();
    let link = links.link(Over::Udp, &upstream, toxic);
    client.connect(&link.at).expect("an address");
    // A few thousand a second, and one and a half times as much as passes.
    let bytes = usize::try_from((rate / 4).clamp(500, 32_000)).expect("small");
    let gap_ns = bytes as u64 * 1_000_000 * 2 / 3 / rate;
    let is_over = AtomicBool::new(false);
    let measured = std::thread::scope(|scope| {
        scope.spawn(|| {
            let datagram = vec![7; bytes];
            let mut due_ns = mono_ns();
            while !is_over.load(Relaxed) {
                // Whatever the link has no room for, it drops.
                let _ = client.send(&datagram);
                due_ns += gap_ns;
                let left_ns = due_ns.saturating_sub(mono_ns());
                std::thread::sleep(Duration::from_nanos(left_ns));
            }
        });
        let mut buffer = vec![0; 65_536];
        let measured = received(|| server.recv(&mut buffer).expect("it comes"));
        is_over.store(true, Relaxed);
        measured
    });
    links.delete(&link);
    measured
}

/// Bytes for each second, from one arrival to another.
fn received(mut receive: impl FnMut() -> usize) -> f64 {
    let begin_ns = mono_ns() + WARMUP_NS;
    while mono_ns() < begin_ns {
        receive();
    }
    let (from_ns, mut bytes) = (mono_ns(), 0);
    loop {
        bytes += receive();
        let passed_ns = mono_ns() - from_ns;
        if passed_ns >= MEASURED_NS {
            return bytes as f64 * 1e9 / passed_ns as f64;
        }
    }
}
