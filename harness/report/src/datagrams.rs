//! What became of datagrams that come back, on the way there and on the way back: the
//! client's record and the server's name the same sockets.

use loadgen::record::{Udp, UdpClient};
use serde_json::Value;

use crate::evidence::{Block, LoadEvidence};
use crate::run::ScenarioRun;

/// The datagrams of one load in one block, warm-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passage {
    /// Handed to the system.
    pub sent: u64,
    /// Different ones that came back as they were.
    pub returned: u64,
    /// Those that never did: on either way, or damaged.
    pub lost: u64,
    /// Those that came back twice, wherever they were doubled.
    pub duplicated: u64,
    /// Those that came back after one that was sent later, wherever that happened.
    pub reordered: u64,
    /// The same at the server; none if no server tells.
    pub there: Option<There>,
}

/// What came to the servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct There {
    /// Different ones that came as they were.
    pub came: u64,
    /// Those that did not.
    pub lost: u64,
    /// Those that came, and did not come back.
    pub lost_back: u64,
    /// Those that came twice.
    pub duplicated: u64,
    /// Those that came after one that was sent later.
    pub reordered: u64,
}

impl Passage {
    /// What the record of a load and those of the servers tell; none if the load sent no
    /// such datagrams.
    #[must_use]
    pub fn of(block: &Block, load: &LoadEvidence) -> Option<Self> {
        let udp = load.record.as_ref()?.udp.as_ref()?;
        Some(Self {
            sent: udp.sent,
            returned: udp.returned,
            lost: udp.lost,
            duplicated: udp.duplicated,
            reordered: udp.reordered,
            there: there(block, udp),
        })
    }

    /// Those of one load against one subject, over all blocks.
    #[must_use]
    pub fn over(scenario: &ScenarioRun, subject: &str, load: &str) -> Option<Self> {
        let blocks = scenario.blocks.iter();
        let own = blocks.filter(|block| block.subject == subject);
        let all = own.flat_map(|block| {
            let loads = block.loads.iter().filter(|found| found.name == load);
            loads.filter_map(move |load| Self::of(block, load))
        });
        all.reduce(|sum, one| sum.with(&one))
    }

    /// Adds those of another block.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        self.sent += other.sent;
        self.returned += other.returned;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.there = self.there.zip(other.there).map(|(one, other)| There {
            came: one.came + other.came,
            lost: one.lost + other.lost,
            lost_back: one.lost_back + other.lost_back,
            duplicated: one.duplicated + other.duplicated,
            reordered: one.reordered + other.reordered,
        });
        self
    }
}

/// None unless every server tells: what one of them got is not lost.
fn there(block: &Block, udp: &Udp) -> Option<There> {
    let mut upstreams = block.upstreams();
    if !upstreams.all(|(_, upstream)| upstream.told_all()) {
        return None;
    }
    let told = |counts: &'_ Value| -> Option<Value> { counts.get("udp")?.get("clients").cloned() };
    let records: Option<Vec<Value>> = block
        .upstreams()
        .flat_map(|(_, upstream)| upstream.all_counts())
        .map(told)
        .collect();
    let records = records.filter(|records| !records.is_empty())?;
    let mut sum = There::default();
    for (name, client) in &udp.clients {
        let count = |field: &str| -> u64 {
            let of = |record: &Value| record.get(name)?.get(field)?.as_u64();
            records.iter().filter_map(of).sum()
        };
        let one = at_the_server(client, count("distinct"));
        sum.came += one.came;
        sum.lost += one.lost;
        sum.lost_back += one.lost_back;
        sum.duplicated += count("duplicates");
        sum.reordered += count("reordered");
    }
    Some(sum)
}

fn at_the_server(client: &UdpClient, came: u64) -> There {
    There {
        came,
        lost: client.sent.saturating_sub(came),
        lost_back: came.saturating_sub(client.returned),
        ..There::default()
    }
}
