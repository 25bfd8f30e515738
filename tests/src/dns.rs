//! A name server that says what the test wants.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::eventually;

/// What it answers to a question for IPv4 addresses.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These addresses.
    Addresses(Vec<Ipv4Addr>),
    /// Code of the error.
    Error(u8),
}

/// SERVFAIL.
pub const FAILURE: Answer = Answer::Error(2);

/// NXDOMAIN.
pub const UNKNOWN: Answer = Answer::Error(3);

/// A name server on a free port. It knows one name, whatever it is asked for.
#[derive(Debug)]
pub struct NameServer {
    addr: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
}

impl NameServer {
    /// Starts with this answer.
    #[must_use]
    pub fn start(answer: Answer) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let server = Self {
            addr: socket.local_addr().expect("bound").to_string(),
            answer: Arc::new(Mutex::new(answer)),
            asked: Arc::default(),
        };
        let (answer, asked) = (Arc::clone(&server.answer), Arc::clone(&server.asked));
        // It ends with the test's process.
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let answer = answer.lock().expect("nobody panics").clone();
                let reply = reply(&buffer[..len], &answer);
                asked.fetch_add(1, Ordering::SeqCst);
                // Who asked may have gone.
                let _ = socket.send_to(&reply, from);
            }
        });
        server
    }

    /// Where it is asked.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// From now on it says this.
    pub fn set(&self, answer: Answer) {
        *self.answer.lock().expect("nobody panics") = answer;
    }

    /// Waits until it has been asked again.
    pub fn is_asked(&self) {
        let before = self.asked.load(Ordering::SeqCst);
        eventually("another question", || {
            (self.asked.load(Ordering::SeqCst) >= before + 2).then_some(())
        });
    }
}

/// A message as in RFC 1035: the question again, and what there is to say.
fn reply(question: &[u8], answer: &Answer) -> Vec<u8> {
    // Labels up to the empty one, then type and class.
    let mut end = 12;
    while question[end] != 0 {
        end += usize::from(question[end]) + 1;
    }
    end += 5;
    let is_a = question[end - 4..end - 2] == [0, 1];
    let (code, addresses) = match answer {
        Answer::Error(code) => (*code, &[][..]),
        Answer::Addresses(addresses) if is_a => (0, &addresses[..]),
        Answer::Addresses(_) => (0, &[][..]),
    };
    let mut reply = question[..2].to_vec();
    let count = u8::try_from(addresses.len()).expect("a few");
    reply.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    reply.extend(&question[12..end]);
    for address in addresses {
        // The name is that of the question; one second to live.
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        reply.extend(address.octets());
    }
    reply
}
