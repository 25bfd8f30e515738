//! A relay with one fault, to see whether the integrity check finds and names it:
//! `test-broken-relay corrupt|drop|duplicate|swap LISTEN FORWARD`.
//!
//! Requests pass as they are; every fiftieth reply is tampered with.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// One reply in so many is tampered with.
const EVERY: u64 = 50;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, fault, listen, forward] = &args[..] else {
        panic!("usage: test-broken-relay corrupt|drop|duplicate|swap LISTEN FORWARD");
    };
    let listener = TcpListener::bind(listen).expect("a free port");
    for client in listener.incoming() {
        let (client, fault) = (client.expect("a client"), fault.clone());
        let Ok(server) = TcpStream::connect(forward) else {
            continue;
        };
        let (from_client, to_server) = (client.try_clone(), server.try_clone());
        thread::spawn(move || {
            let (mut from, mut to) = (from_client.expect("a socket"), to_server.expect("a socket"));
            // A side that is gone ends the other.
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        thread::spawn(move || {
            let _ = relay_replies(&fault, server, &client);
            let _ = client.shutdown(Shutdown::Write);
        });
    }
}

fn relay_replies(fault: &str, server: TcpStream, mut client: &TcpStream) -> std::io::Result<()> {
    let mut server = BufReader::new(server);
    let mut line = Vec::new();
    let mut held: Option<Vec<u8>> = None;
    for number in 1_u64.. {
        line.clear();
        if server.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if !number.is_multiple_of(EVERY) {
            client.write_all(&line)?;
            if let Some(held) = held.take() {
                client.write_all(&held)?;
            }
            continue;
        }
        match fault {
            "corrupt" => {
                let digit = line.len() - 2;
                line[digit] = if line[digit] == b'0' { b'1' } else { b'0' };
                client.write_all(&line)?;
            }
            "drop" => {}
            "duplicate" => client.write_all(&line.repeat(2))?,
            "swap" => held = Some(line.clone()),
            other => panic!("unknown fault {other}"),
        }
    }
    Ok(())
}
