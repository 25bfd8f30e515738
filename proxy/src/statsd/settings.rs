//! What workers route by. It is replaced as a whole at a reload, and whenever a node goes
//! down or comes back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use balance::hashring::HashRing;

/// What becomes of lines whose node is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum WhenDown {
    /// They go to the nodes that are up, as the ring without it says.
    #[default]
    Remap,
    /// They are kept until it is back, as many as fit.
    Hold,
    /// They are dropped.
    Drop,
    /// They go to the nodes that are up, and a copy still to the one that is down.
    Mirror,
}

/// What becomes of lines that are not statsd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum OnMalformed {
    /// They are counted and go on, as before.
    #[default]
    Forward,
    /// They are counted and dropped.
    Drop,
}

/// What one node was sent.
#[derive(Debug, Default)]
pub(super) struct NodeCounters {
    /// Lines, copies apart.
    pub(super) lines: AtomicU64,
    /// Lines sent as copies while it was down.
    pub(super) mirrored: AtomicU64,
    /// Datagrams.
    pub(super) datagrams: AtomicU64,
    /// Bytes of their payload.
    pub(super) bytes: AtomicU64,
    /// Datagrams that its host sent back.
    pub(super) refused: AtomicU64,
    /// Lines that are kept until it is back.
    pub(super) held_lines: AtomicU64,
}

/// The address of a node of which nobody knows where it is yet.
pub(super) const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A node, for as long as its name and address stay the same.
#[derive(Debug)]
pub(super) struct Node {
    /// `host:port` as it was configured: its place on the ring comes from this.
    pub(super) name: String,
    /// Where its lines go, or [`NOWHERE`].
    pub(super) addr: SocketAddr,
    /// What it was sent.
    pub(super) counters: NodeCounters,
    /// A refusal has been told and not been taken notice of yet.
    pub(super) refusal_told: AtomicBool,
}

impl Node {
    /// A node that was sent nothing yet.
    pub(super) fn new(name: String, addr: SocketAddr) -> Self {
        Self {
            name,
            addr,
            counters: NodeCounters::default(),
            refusal_told: AtomicBool::new(false),
        }
    }

    /// Whether it is known where it is. Its lines may be kept until then, but not sent.
    pub(super) fn is_found(&self) -> bool {
        self.addr != NOWHERE
    }

    /// Forgets that a refusal was told: the next one is told again.
    pub(super) fn hear_refusals(&self) {
        self.refusal_told.store(false, Ordering::Release);
    }
}

/// How lines are handled, apart from where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// What becomes of lines whose node is down.
    pub(super) remap: WhenDown,
    /// What becomes of lines that are not statsd.
    pub(super) on_malformed: OnMalformed,
    /// Datagrams are filled up to this size; 0 sends each line alone.
    pub(super) mtu: usize,
    /// How long a line may wait for company.
    pub(super) flush: Duration,
    /// Bytes that are kept for each node that is down.
    pub(super) hold_bytes: usize,
    /// Bytes that may wait for each node when its socket takes no more.
    pub(super) queue_bytes: usize,
}

/// What workers route by.
#[derive(Debug)]
pub(super) struct Settings {
    /// All nodes, in the order of the configuration.
    pub(super) nodes: Vec<Arc<Node>>,
    /// Which of them are up.
    pub(super) up: Vec<bool>,
    /// The ring over all of them.
    pub(super) whole: Arc<HashRing>,
    /// The ring over those that are up.
    pub(super) live: Arc<HashRing>,
    /// How lines are handled.
    pub(super) policy: Policy,
}

impl Settings {
    /// Puts them together. `whole` is the ring over `nodes`, in their order: it stays while
    /// the nodes do, for it takes far longer to make than the one over those that are up.
    pub(super) fn on(
        whole: Arc<HashRing>,
        nodes: Vec<Arc<Node>>,
        up: Vec<bool>,
        policy: Policy,
    ) -> Self {
        let live = match up.contains(&false) {
            true => Arc::new(whole.of_live(|nth| up[nth])),
            false => Arc::clone(&whole),
        };
        Self {
            whole,
            live,
            nodes,
            up,
            policy,
        }
    }

    /// The same with a ring of its own.
    #[cfg(test)]
    pub(super) fn new(nodes: Vec<Arc<Node>>, up: Vec<bool>, policy: Policy) -> Self {
        let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
        let whole = Arc::new(HashRing::new(&names, |_| true));
        Self::on(whole, nodes, up, policy)
    }
}
