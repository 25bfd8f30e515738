//! What is counted of datagrams beside requests and answers, warm-up included.

use super::flight::Returns;
use crate::tally::Unsent;

/// One worker's, or all workers'.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Datagrams that the system did not take.
    pub(crate) unsent: Unsent,
    /// Of these, those that were due while measuring.
    pub(crate) unsent_measured: Unsent,
    /// Datagrams handed to the system.
    pub(crate) sent: u64,
    /// Their bytes.
    pub(crate) bytes_sent: u64,
    /// Datagrams read.
    pub(crate) received: u64,
    /// Of these, those that were damaged.
    pub(crate) corrupted: u64,
    /// Of these, those of another socket.
    pub(crate) misrouted: u64,
    /// Of these, those that nobody here has sent.
    pub(crate) unexpected: u64,
    /// Datagrams that the target's host sent back.
    pub(crate) refused: u64,
    /// Answers that the kernel dropped because a socket of ours had no room.
    pub(crate) kernel_drops: u64,
    /// Whether the kernel cut up datagrams.
    pub(crate) segments: bool,
    /// By socket.
    pub(crate) clients: Vec<ClientSums>,
}

/// The datagrams of one socket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientSums {
    /// Its number.
    pub(crate) client: u32,
    /// Numbers used.
    pub(crate) numbers: u64,
    /// Datagrams handed to the system.
    pub(crate) sent: u64,
    /// What came back.
    pub(crate) returns: Returns,
}

impl Ledger {
    /// Adds another worker's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.unsent.add_all(&other.unsent);
        self.unsent_measured.add_all(&other.unsent_measured);
        self.sent += other.sent;
        self.bytes_sent += other.bytes_sent;
        self.received += other.received;
        self.corrupted += other.corrupted;
        self.misrouted += other.misrouted;
        self.unexpected += other.unexpected;
        self.refused += other.refused;
        self.kernel_drops += other.kernel_drops;
        self.segments |= other.segments;
        self.clients.extend_from_slice(&other.clients);
    }

    /// What came back over all sockets.
    pub(crate) fn returns(&self) -> Returns {
        let mut all = Returns::default();
        for client in &self.clients {
            all.add(&client.returns);
        }
        all
    }
}
