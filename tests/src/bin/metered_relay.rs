//! A relay whose capacity is known: `test-metered-relay SERVICE_US LISTEN FORWARD`.
//!
//! All replies pass through one place, one after the other, and each occupies it for that
//! many microseconds. So 1000 means 1,000 replies a second and no more, on however few
//! cores: the time is waited for, not worked for.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// When the place is free again.
type FreeAt = Arc<Mutex<Instant>>;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, service_us, listen, forward] = &args[..] else {
        panic!("usage: test-metered-relay SERVICE_US LISTEN FORWARD");
    };
    let service = Duration::from_micros(service_us.parse().expect("microseconds"));
    let free_at: FreeAt = Arc::new(Mutex::new(Instant::now()));
    let listener = TcpListener::bind(listen).expect("a free port");
    for client in listener.incoming() {
        let (client, free_at) = (client.expect("a client"), Arc::clone(&free_at));
        let Ok(server) = TcpStream::connect(forward) else {
            continue;
        };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let (from_client, to_server) = (client.try_clone(), server.try_clone());
        thread::spawn(move || {
            let (mut from, mut to) = (from_client.expect("a socket"), to_server.expect("a socket"));
            // A side that is gone ends the other.
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        thread::spawn(move || {
            let _ = relay_replies(service, &free_at, server, &client);
            let _ = client.shutdown(Shutdown::Write);
        });
    }
}

fn relay_replies(
    service: Duration,
    free_at: &FreeAt,
    server: TcpStream,
    mut client: &TcpStream,
) -> std::io::Result<()> {
    let mut server = BufReader::new(server);
    let mut line = Vec::new();
    loop {
        line.clear();
        if server.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let done_at = {
            let mut free_at = free_at.lock().expect("nobody panics with it");
            *free_at = (*free_at).max(Instant::now()) + service;
            *free_at
        };
        thread::sleep(done_at.saturating_duration_since(Instant::now()));
        client.write_all(&line)?;
    }
}
