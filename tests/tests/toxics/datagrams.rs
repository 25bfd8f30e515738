//! Links for datagrams, and what their toxics do.

use std::net::UdpSocket;

use serde_json::{Value, json};
use tests::DEADLINE;

use super::started::Toxics;

/// A client and a server with a link between them.
struct Pair {
    toxics: Toxics,
    client: UdpSocket,
    server: UdpSocket,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(DEADLINE)).expect("a socket");
    // What a link lets go at once must not be lost behind it.
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 1 << 22).expect("a socket");
    socket
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 65_536];
    let len = socket.recv(&mut buffer).expect("a datagram");
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

impl Pair {
    fn start(more: &[&str]) -> Self {
        let toxics = Toxics::start_with(more);
        let server = socket();
        let upstream = server.local_addr().expect("bound").to_string();
        let listen = toxics.udp_link("link", &upstream);
        let client = socket();
        client.connect(listen).expect("an address");
        Self {
            toxics,
            client,
            server,
        }
    }

    fn add(&self, kind: &str, attributes: &Value) {
        self.toxics.add("link", kind, "upstream", attributes);
    }

    fn send(&self, text: &str) {
        self.client.send(text.as_bytes()).expect("it is sent");
    }

    /// Sends numbers, a hundred at a time, and tells which of them came.
    fn passed(&self, numbers: u32) -> Vec<String> {
        let mut got = Vec::new();
        for batch in (0..numbers).collect::<Vec<_>>().chunks(100) {
            for number in batch {
                self.send(&number.to_string());
            }
            // What is lost is not waited for: the link says how much it has seen.
            self.server.set_nonblocking(true).expect("a socket");
            tests::eventually("the datagrams to have passed", || {
                let record = self.toxics.record("link");
                let received = record["upstream_bytes"]["received"].as_u64()?;
                let sent: u64 = (0..=*batch.last()?)
                    .map(|n| n.to_string().len() as u64)
                    .sum();
                (received == sent).then_some(())
            });
            let mut buffer = [0; 64];
            while let Ok(len) = self.server.recv(&mut buffer) {
                got.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
            }
        }
        got
    }
}

#[test]
fn datagrams_pass_both_ways_and_stay_apart() {
    let pair = Pair::start(&[]);
    let other = socket();
    other
        .connect(pair.client.peer_addr().expect("connected"))
        .expect("an address");
    let mut buffer = [0; 100];
    for (client, text) in [(&pair.client, "one"), (&other, "two")] {
        client.send(text.as_bytes()).expect("it is sent");
        let (len, from) = pair.server.recv_from(&mut buffer).expect("a datagram");
        assert_eq!(&buffer[..len], text.as_bytes());
        pair.server
            .send_to(b"answer to ", from)
            .expect("it is sent");
        pair.server
            .send_to(text.as_bytes(), from)
            .expect("it is sent");
    }
    for (client, text) in [(&other, "two"), (&pair.client, "one")] {
        assert_eq!(receive(client), "answer to ");
        assert_eq!(receive(client), text);
    }
    pair.client.send(b"").expect("it is sent");
    assert_eq!(receive(&pair.server), "");
    assert_eq!(pair.toxics.record("link")["connections_total"], 2);
}

#[test]
fn the_share_that_is_lost_is_that_which_was_asked_for_and_the_same_again() {
    let outcome = || {
        let pair = Pair::start(&[]);
        pair.add("loss", &json!({"loss_rate": 0.1}));
        let passed = pair.passed(10_000);
        let record = pair.toxics.record("link");
        assert_eq!(record["toxics"][0]["hits"], 10_000 - passed.len());
        assert_eq!(record["datagrams_overflowed"], 0);
        passed
    };
    let passed = outcome();
    // Four standard deviations of a binomial share; the seed is fixed.
    assert!((8_880..=9_120).contains(&passed.len()), "{}", passed.len());
    assert!(passed == outcome(), "another run lost others");
}

#[test]
fn duplicates_swaps_and_cuts() {
    let pair = Pair::start(&[]);
    pair.add("duplicate", &json!({"copies": 2}));
    pair.send("a");
    for _ in 0..3 {
        assert_eq!(receive(&pair.server), "a");
    }
    pair.toxics.remove("link", "duplicate", "upstream");
    pair.add("reorder", &json!({"rate": 1, "timeout": 3_600_000}));
    for text in ["1", "2", "3", "4"] {
        pair.send(text);
    }
    let order: Vec<_> = (0..4).map(|_| receive(&pair.server)).collect();
    assert_eq!(order, ["2", "1", "4", "3"]);
    pair.toxics.remove("link", "reorder", "upstream");
    pair.add("truncate", &json!({"bytes": 3}));
    pair.send("abcdef");
    assert_eq!(receive(&pair.server), "abc");
    pair.toxics.remove("link", "truncate", "upstream");
    pair.add("corrupt", &json!({"rate": 1}));
    pair.send("00000000");
    let got = receive(&pair.server);
    let flipped: u32 = got.bytes().map(|byte| (byte ^ b'0').count_ones()).sum();
    assert_eq!((got.len(), flipped), (8, 1));
}

#[test]
fn a_queue_that_is_full_drops_and_counts_and_the_rest_comes_when_it_may() {
    let pair = Pair::start(&[]);
    pair.add("bandwidth", &json!({"rate": 0}));
    let text = "x".repeat(10_000);
    for _ in 0..100 {
        pair.send(&text);
    }
    let overflowed = tests::eventually("all to have come", || {
        let record = pair.toxics.record("link");
        let all = record["upstream_bytes"]["received"] == 1_000_000;
        all.then(|| record["datagrams_overflowed"].as_u64())
            .flatten()
    });
    assert!((50..100).contains(&overflowed), "{overflowed}");
    pair.toxics.remove("link", "bandwidth", "upstream");
    for _ in overflowed..100 {
        assert_eq!(receive(&pair.server).len(), 10_000);
    }
}
