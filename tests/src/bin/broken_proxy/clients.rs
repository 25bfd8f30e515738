//! Who is there: for answers to somebody else.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::TcpStream;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex};

/// A client as all can write to it, one whole reply at a time.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Mutex<TcpStream>,
}

impl Client {
    /// Sends all of it.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stream = self.stream.lock().expect("nobody panics with it");
        stream.write_all(bytes)
    }
}

/// The clients that are connected, by the number of their connection.
#[derive(Debug, Default)]
pub(crate) struct Clients(Mutex<BTreeMap<u64, Arc<Client>>>);

impl Clients {
    /// Takes the writing side of a connection.
    pub(crate) fn enter(&self, number: u64, stream: TcpStream) -> Arc<Client> {
        let client = Arc::new(Client {
            stream: Mutex::new(stream),
        });
        let mut all = self.0.lock().expect("nobody panics with it");
        all.insert(number, Arc::clone(&client));
        client
    }

    /// Forgets a connection.
    pub(crate) fn leave(&self, number: u64) {
        self.0
            .lock()
            .expect("nobody panics with it")
            .remove(&number);
    }

    /// The client after this one, if there is another.
    pub(crate) fn neighbour(&self, number: u64) -> Option<Arc<Client>> {
        let all = self.0.lock().expect("nobody panics with it");
        let after = all.range((Excluded(number), Unbounded)).next();
        let next = after.or_else(|| all.iter().next());
        let (found, client) = next?;
        (*found != number).then(|| Arc::clone(client))
    }
}
