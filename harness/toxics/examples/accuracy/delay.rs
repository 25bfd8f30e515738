//! How late things arrive: each message says when it was sent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use service::clock::mono_ns;

use super::Line;
use super::links::{Links, Over, connect, udp};

/// A measurement: of how many messages, how far apart, with what deviation in ms. Where
/// they deviate they are so far apart that none waits for another.
struct Setting {
    messages: usize,
    gap: Duration,
    latency: u32,
    jitter: u32,
}

const SETTINGS: [Setting; 3] = [
    Setting::new(2_000, 2, 100, 0),
    Setting::new(2_000, 2, 5, 0),
    Setting::new(300, 25, 100, 10),
];

impl Setting {
    const fn new(messages: usize, gap_ms: u64, latency: u32, jitter: u32) -> Self {
        let gap = Duration::from_millis(gap_ms);
        Self {
            messages,
            gap,
            latency,
            jitter,
        }
    }
}

/// How far off a delay may be.
const BOUND_MS: f64 = 2.0;

/// What is told of the delays.
const SHARES: [f64; 3] = [0.01, 0.5, 0.99];

pub(crate) fn measure(links: &Links, tell: &mut dyn FnMut(Line)) {
    for over in Over::BOTH {
        for setting in &SETTINGS {
            let delays = delays(links, over, setting);
            let last = (delays.len() - 1) as f64;
            let (latency, jitter) = (f64::from(setting.latency), f64::from(setting.jitter));
            let quantiles = SHARES.map(|share| {
                let wanted = latency + jitter * (2.0 * share - 1.0);
                (wanted, delays[(share * last).round() as usize])
            });
            // A quantile of draws deviates as well: four standard deviations.
            let is_within = |(share, (wanted, got)): (f64, (f64, f64))| {
                let deviation = (share * (1.0 - share) / setting.messages as f64).sqrt();
                (got - wanted).abs() <= BOUND_MS + 4.0 * 2.0 * jitter * deviation
            };
            let [(low, p1), (middle, p50), (high, p99)] = quantiles;
            tell(Line::new(
                format!("{} latency {latency} ms, jitter {jitter} ms", over.name()),
                format!("{low:.1} / {middle:.1} / {high:.1} ms"),
                format!("p1 {p1:.2}, p50 {p50:.2}, p99 {p99:.2} ms"),
                SHARES.into_iter().zip(quantiles).all(is_within),
            ));
        }
    }
}

/// All delays in ms, sorted.
fn delays(links: &Links, over: Over, setting: &Setting) -> Vec<f64> {
    // Blocks as large as a message, so that each has a draw of its own.
    let toxic = json!({"type": "latency", "stream": "upstream",
        "attributes": {"latency": setting.latency, "jitter": setting.jitter, "grain": 8}});
    let mut delays: Vec<f64> = match over {
        Over::Tcp => {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let upstream = listener.local_addr().expect("bound").to_string();
            let link = links.link(over, &upstream, &toxic);
            let (mut client, mut server) = connect(&link, &listener);
            let delays = exchange(
                setting,
                |message| client.write_all(message).expect("it is sent"),
                |message| server.read_exact(message).expect("it comes"),
            );
            links.delete(&link);
            delays
        }
        Over::Udp => {
            let (client, server) = (udp(), udp());
            let upstream = server.local_addr().expect("bound").to_string();
            let link = links.link(over, &upstream, &toxic);
            client.connect(&link.at).expect("an address");
            let delays = exchange(
                setting,
                |message| assert!(client.send(message).is_ok()),
                |message| assert!(server.recv(message).is_ok()),
            );
            links.delete(&link);
            delays
        }
    };
    delays.sort_by(f64::total_cmp);
    delays
}

/// Sends messages at their time and receives them in another thread.
fn exchange(
    setting: &Setting,
    mut send: impl FnMut(&[u8]),
    mut receive: impl FnMut(&mut [u8]) + Send,
) -> Vec<f64> {
    std::thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let mut message = [0; 8];
            let delays = (0..setting.messages).map(|_| {
                receive(&mut message);
                (mono_ns() - u64::from_ne_bytes(message)) as f64 / 1e6
            });
            delays.collect()
        });
        for _ in 0..setting.messages {
            std::thread::sleep(setting.gap);
            send(&mono_ns().to_ne_bytes());
        }
        receiver.join().expect("it does not panic")
    })
}
