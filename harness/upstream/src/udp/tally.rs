//! Counting datagrams: what an echo knows when it has read some.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use eventloop::datagram::Receiver;
use protocol::probe::{Probe, Read};

use crate::udp::numbers::Numbers;
use crate::udp::record::UdpRecord;

/// Clients that are told apart: each costs a bitmap of the numbers that came. The
/// datagrams of any more are foreign.
const MOST_CLIENTS: usize = 16_384;

/// Sources that are told apart: as many as one address has ports.
const MOST_SOURCES: usize = 65_536;

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    corrupted: u64,
    foreign: u64,
    clients: HashMap<(u32, u32), Numbers>,
    sources: HashSet<SocketAddr>,
    /// Where the last one came from: most come from where the one before did.
    last: Option<SocketAddr>,
}

impl Tally {
    /// Counts datagrams.
    pub(super) fn take_all(&mut self, batch: &Receiver) {
        for datagram in batch.datagrams() {
            self.take(datagram.bytes);
            if datagram.from != self.last {
                self.last = datagram.from;
                self.meet(datagram.from);
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.datagrams += 1;
        self.bytes += bytes.len() as u64;
        match Probe::read(bytes) {
            Read::Sound(probe) => self.foreign += u64::from(!self.account(probe)),
            Read::Corrupted(_) => self.corrupted += 1,
            Read::Foreign => self.foreign += 1,
        }
    }

    /// Accounts for a probe, unless there is no place for it.
    fn account(&mut self, probe: Probe) -> bool {
        let Ok(number) = u32::try_from(probe.sequence) else {
            return false;
        };
        let client = (probe.run, probe.client);
        if self.clients.len() == MOST_CLIENTS && !self.clients.contains_key(&client) {
            return false;
        }
        self.clients.entry(client).or_default().take(number);
        true
    }

    fn meet(&mut self, source: Option<SocketAddr>) {
        if let Some(source) = source
            && self.sources.len() < MOST_SOURCES
        {
            self.sources.insert(source);
        }
    }

    /// What a record tells of it.
    pub(super) fn tell(&self, record: &mut UdpRecord) {
        record.datagrams = self.datagrams;
        record.corrupted = self.corrupted;
        record.foreign = self.foreign;
        record.sources = self.sources.len() as u64;
        let clients = self.clients.iter();
        record.clients = clients
            .map(|((run, client), numbers)| (format!("{run:08x}.{client}"), numbers.told()))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(run: u32, client: u32, sequence: u64) -> Vec<u8> {
        let probe = Probe {
            run,
            client,
            sequence,
            sent_ns: 1,
        };
        let mut bytes = Vec::new();
        probe.write(40, &mut bytes);
        bytes
    }

    #[test]
    fn every_datagram_is_of_one_kind() {
        let mut tally = Tally::default();
        let mut damaged = datagram(0xa, 1, 9);
        damaged[39] ^= 1;
        for bytes in [
            datagram(0xa, 1, 0),
            datagram(0xa, 1, 2),
            datagram(0xa, 2, 0),
            datagram(0xb, 1, 0),
            datagram(0xb, 1, 1 << 32),
            damaged,
            vec![],
            b"hello".to_vec(),
        ] {
            tally.take(&bytes);
        }
        let mut record = UdpRecord::default();
        tally.tell(&mut record);
        assert_eq!((record.datagrams, tally.bytes), (8, 245));
        assert_eq!((record.foreign, record.corrupted), (3, 1));
        let names: Vec<_> = record.clients.keys().map(String::as_str).collect();
        assert_eq!(names, ["0000000a.1", "0000000a.2", "0000000b.1"]);
        let told = &record.clients["0000000a.1"];
        assert_eq!((told.distinct, told.highest), (2, 2));
        let numbered: u64 = record.clients.values().map(|client| client.datagrams).sum();
        assert_eq!(
            numbered + record.foreign + record.corrupted,
            record.datagrams
        );
    }

    #[test]
    fn one_client_too_many_is_foreign() {
        let mut tally = Tally::default();
        for client in 0..=MOST_CLIENTS as u32 {
            tally.take(&datagram(1, client, 0));
        }
        tally.take(&datagram(1, 0, 1));
        assert_eq!((tally.clients.len(), tally.foreign), (MOST_CLIENTS, 1));
    }
}
