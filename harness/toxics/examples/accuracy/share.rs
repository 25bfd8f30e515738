//! How many of many are touched.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};

use super::Line;
use super::links::{Link, Links, Over, connect, udp};

/// What is decided about.
const MANY: u32 = 20_000;

/// Clients of one link: no more than it serves at a time.
const UDP_CLIENTS: u32 = 4_000;

/// How long a datagram is waited for that nothing should have touched.
const PATIENCE: Duration = Duration::from_secs(2);

/// Datagrams on their way at a time.
const IN_FLIGHT: u32 = 50;

/// Standard deviations that a share may be off.
const BOUND: f64 = 4.0;

pub(crate) fn measure(links: &Links, tell: &mut dyn FnMut(Line)) {
    let mut tell_share = |what: &str, share: f64, n: u32, hits: u32| {
        let mean = f64::from(n) * share;
        let deviations = (f64::from(hits) - mean) / (mean * (1.0 - share)).sqrt();
        tell(Line::new(
            what.to_owned(),
            format!("{share} of {n}"),
            format!("{:.4} ({deviations:+.2} σ)", f64::from(hits) / f64::from(n)),
            deviations.abs() <= BOUND,
        ));
    };
    for share in [0.01, 0.3] {
        let hits = closed_connections(links, share);
        tell_share(&format!("tcp toxicity {share}"), share, MANY, hits);
    }
    let (n, hits) = silenced_clients(links, 0.3);
    tell_share("udp toxicity 0.3", 0.3, n, hits);
    let attributes = json!({"loss_rate": 0.1, "grain": 1_000});
    let bytes = stream_through(links, "packet_loss", &attributes);
    let lost = (MANY as usize * 1_000 - bytes.len()) / 1_000;
    tell_share(
        "tcp packet_loss 0.1, blocks of 1000",
        0.1,
        MANY,
        lost as u32,
    );
    let bytes = stream_through(links, "corrupt", &json!({"rate": 0.001}));
    let wrong = bytes.iter().filter(|byte| **byte != 0).count();
    tell_share(
        "tcp corrupt 0.001 of bytes",
        0.001,
        MANY * 1_000,
        wrong as u32,
    );
    let udp: [(&str, Value, IsHit); 4] = [
        ("loss", json!({"loss_rate": 0.1}), <[u32]>::is_empty),
        ("duplicate", json!({"rate": 0.1}), |copies| {
            copies.len() == 2
        }),
        ("truncate", json!({"rate": 0.1, "bytes": 4}), |copies| {
            copies == [4]
        }),
        ("corrupt", json!({"rate": 0.1}), |copies| copies == [0]),
    ];
    for (kind, attributes, is_hit) in udp {
        let got = datagrams_through(links, kind, &attributes);
        let hits = got.iter().filter(|copies| is_hit(copies)).count();
        tell_share(&format!("udp {kind} 0.1"), 0.1, MANY, hits as u32);
    }
}

/// Tells of what came with one number whether the toxic touched it.
type IsHit = fn(&[u32]) -> bool;

/// Connections that a toxic closed.
fn closed_connections(links: &Links, toxicity: f64) -> u32 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = listener.local_addr().expect("bound").to_string();
    let toxic = json!({"type": "limit_data", "stream": "upstream", "toxicity": toxicity,
        "attributes": {"bytes": 0}});
    let link = links.link(Over::Tcp, &upstream, &toxic);
    let outcome = |_| {
        let (mut client, mut server): (TcpStream, TcpStream) = connect(&link, &listener);
        client.write_all(b"x").expect("it is sent");
        u32::from(server.read(&mut [0; 1]).expect("data or its end") == 0)
    };
    let closed = (0..MANY).map(outcome).sum();
    links.delete(&link);
    closed
}

/// Clients of UDP links, and those of them whose datagrams a toxic swallowed.
fn silenced_clients(links: &Links, toxicity: f64) -> (u32, u32) {
    let server = udp();
    let upstream = server.local_addr().expect("bound").to_string();
    let toxic = json!({"type": "timeout", "stream": "upstream", "toxicity": toxicity});
    let (mut clients, mut answered) = (0, 0);
    while clients < 10_000 {
        let link = links.link(Over::Udp, &upstream, &toxic);
        for _ in 0..UDP_CLIENTS {
            let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
            client.send_to(b"x", &link.at).expect("it is sent");
            clients += 1;
            if clients % IN_FLIGHT == 0 {
                wait_for(links, &link, u64::from((clients - 1) % UDP_CLIENTS) + 1);
                answered += drain(&server, |_| {});
            }
        }
        links.delete(&link);
    }
    (clients, clients - answered)
}

/// What comes out of a link of a stream of zeros.
fn stream_through(links: &Links, kind: &str, attributes: &Value) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let upstream = listener.local_addr().expect("bound").to_string();
    let toxic = json!({"type": kind, "stream": "upstream", "attributes": attributes});
    let link = links.link(Over::Tcp, &upstream, &toxic);
    let (mut client, mut server) = connect(&link, &listener);
    let mut got = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..MANY {
                client.write_all(&[0; 1_000]).expect("it is sent");
            }
        });
        server.read_to_end(&mut got).expect("an orderly end");
    });
    links.delete(&link);
    got
}

/// What comes out of a link of numbered datagrams: for each number the lengths of what came
/// with it, and 0 for one that was changed.
fn datagrams_through(links: &Links, kind: &str, attributes: &Value) -> Vec<Vec<u32>> {
    let (client, server) = (udp(), udp());
    let upstream = server.local_addr().expect("bound").to_string();
    let toxic = json!({"type": kind, "stream": "upstream", "attributes": attributes});
    let link = links.link(Over::Udp, &upstream, &toxic);
    client.connect(&link.at).expect("an address");
    let mut got = vec![Vec::new(); MANY as usize];
    for number in 0..MANY {
        // The number twice, so that a change shows.
        client
            .send(&[number.to_ne_bytes(), number.to_ne_bytes()].concat())
            .expect("it is sent");
        if (number + 1) % IN_FLIGHT == 0 {
            wait_for(links, &link, u64::from(number + 1) * 8);
            let batch = number + 1 - IN_FLIGHT;
            let mut changed = 0;
            drain(&server, |datagram| {
                let (first, second) = datagram.split_at(4);
                let number = u32::from_ne_bytes(first.try_into().expect("four bytes"));
                if second.is_empty() || first == second {
                    got[number as usize].push(datagram.len() as u32);
                } else {
                    changed += 1;
                }
            });
            // Which of them were changed cannot be told, how many can.
            let missing = got[batch as usize..=number as usize].iter_mut();
            missing
                .filter(|copies| copies.is_empty())
                .take(changed)
                .for_each(|c| c.push(0));
        }
    }
    let overflowed = links.record(&link).datagrams_overflowed;
    assert_eq!(overflowed, 0, "the link dropped what it should not");
    links.delete(&link);
    got
}

/// Waits until a link has received so many bytes: it sends on at once what it does.
fn wait_for(links: &Links, link: &Link, bytes: u64) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while links.record(link).upstream_bytes.received < bytes {
        assert!(
            std::time::Instant::now() < deadline,
            "datagrams were lost on the way"
        );
        std::thread::yield_now();
    }
}

/// Takes all that has come; tells how many.
fn drain(server: &UdpSocket, mut take: impl FnMut(&[u8])) -> u32 {
    server.set_nonblocking(true).expect("a socket");
    let mut buffer = [0; 64];
    let mut count = 0;
    while let Ok(len) = server.recv(&mut buffer) {
        count += 1;
        take(&buffer[..len]);
    }
    count
}
