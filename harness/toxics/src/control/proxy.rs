//! A link as the control knows it: what was asked for, and its toxics with their past.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Map, Value};

use crate::evidence::{Counters, now_ns};
use crate::item::Medium;
use crate::link::{ActiveToxic, Chain, Link};
use crate::record::{LinkRecord, ToxicRecord};
use crate::toxic::{Direction, Toxic};

/// Removed toxics that are remembered for each link. What was before is a number.
const REMEMBERED_TOXICS: usize = 1_000;

/// A toxic and when it came.
#[derive(Clone, Debug)]
struct Entry {
    active: Arc<ActiveToxic>,
    added_ns: u64,
    updated_ns: Option<u64>,
    removed_ns: Option<u64>,
}

impl Entry {
    fn record(&self) -> ToxicRecord {
        let toxic = &self.active.toxic;
        ToxicRecord {
            name: toxic.name.clone(),
            kind: toxic.kind.name.to_owned(),
            stream: toxic.stream.name().to_owned(),
            added_ns: self.added_ns,
            updated_ns: self.updated_ns,
            removed_ns: self.removed_ns,
            counts: self.active.counters.read(),
        }
    }
}

/// A link as the control knows it.
#[derive(Debug)]
pub struct Proxy {
    /// What its workers know of it.
    pub link: Arc<Link>,
    /// Where it was asked to listen.
    pub asked: String,
    /// Where it listens, once it has.
    pub listen: String,
    /// Where it connects to, as it was written.
    pub upstream: String,
    /// Whether it is up.
    pub enabled: bool,
    toxics: Vec<Entry>,
    removed: VecDeque<Entry>,
    forgotten: u64,
}

/// The name of what a link carries.
#[must_use]
pub fn protocol(medium: Medium) -> &'static str {
    match medium {
        Medium::Stream => "tcp",
        Medium::Datagram => "udp",
    }
}

impl Proxy {
    /// A link that is down.
    #[must_use]
    pub fn new(link: Arc<Link>, listen: &str, upstream: &str) -> Self {
        Self {
            link,
            asked: listen.to_owned(),
            listen: listen.to_owned(),
            upstream: upstream.to_owned(),
            enabled: false,
            toxics: Vec::new(),
            removed: VecDeque::new(),
            forgotten: 0,
        }
    }

    /// The toxics, upstream first.
    pub fn toxics(&self) -> impl Iterator<Item = &Toxic> {
        Direction::BOTH.into_iter().flat_map(move |direction| {
            let toxics = self.toxics.iter().map(|entry| &entry.active.toxic);
            toxics.filter(move |toxic| toxic.stream == direction)
        })
    }

    /// The toxic of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Toxic> {
        let mut toxics = self.toxics.iter().map(|entry| &entry.active.toxic);
        toxics.find(|toxic| toxic.name == name)
    }

    /// How many toxics there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.toxics.len()
    }

    /// Adds a toxic under this number.
    pub fn add(&mut self, toxic: Toxic, id: u64) {
        let active = ActiveToxic {
            id,
            version: 0,
            toxic,
            counters: Arc::new(Counters::default()),
        };
        self.toxics.push(Entry {
            active: Arc::new(active),
            added_ns: now_ns(),
            updated_ns: None,
            removed_ns: None,
        });
        self.publish();
    }

    /// Replaces the toxic of this name by what it has become.
    pub fn update(&mut self, toxic: Toxic) {
        let mut entries = self.toxics.iter_mut();
        if let Some(entry) = entries.find(|entry| entry.active.toxic.name == toxic.name) {
            entry.active = Arc::new(ActiveToxic {
                id: entry.active.id,
                version: entry.active.version + 1,
                toxic,
                counters: Arc::clone(&entry.active.counters),
            });
            entry.updated_ns = Some(now_ns());
            self.publish();
        }
    }

    /// Removes the toxics that are not wanted; tells whether there were any.
    pub fn remove(&mut self, is_wanted: impl Fn(&Toxic) -> bool) -> bool {
        let all = std::mem::take(&mut self.toxics);
        let (stay, go): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|entry| is_wanted(&entry.active.toxic));
        self.toxics = stay;
        let were_any = !go.is_empty();
        for mut entry in go {
            entry.removed_ns = Some(now_ns());
            self.removed.push_back(entry);
        }
        while self.removed.len() > REMEMBERED_TOXICS {
            self.removed.pop_front();
            self.forgotten += 1;
        }
        self.publish();
        were_any
    }

    /// Lets connections to come have the toxics of now.
    fn publish(&self) {
        let chain: Chain = Arc::new(
            self.toxics
                .iter()
                .map(|entry| Arc::clone(&entry.active))
                .collect(),
        );
        self.link.set_chain(chain);
    }

    /// As the API tells it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("name".into(), self.link.name.clone().into());
        object.insert("listen".into(), self.listen.clone().into());
        object.insert("upstream".into(), self.upstream.clone().into());
        object.insert("enabled".into(), self.enabled.into());
        if self.link.medium == Medium::Datagram {
            object.insert("protocol".into(), protocol(self.link.medium).into());
        }
        object.insert("toxics".into(), self.toxics().map(Toxic::to_json).collect());
        object.into()
    }

    /// What it did.
    #[must_use]
    pub fn record(&self) -> LinkRecord {
        let link = &self.link;
        let accepted = link.accepted.load(Relaxed);
        let entries = self.removed.iter().chain(&self.toxics);
        let mut toxics: Vec<ToxicRecord> = entries.map(Entry::record).collect();
        toxics.sort_by_key(|toxic| toxic.added_ns);
        LinkRecord {
            protocol: protocol(link.medium).to_owned(),
            listen: self.listen.clone(),
            upstream: self.upstream.clone(),
            connections_total: accepted,
            connections_open: accepted.saturating_sub(link.ended.load(Relaxed)),
            connections_failed: link.failed.load(Relaxed),
            upstream_bytes: link.bytes(Direction::Upstream),
            downstream_bytes: link.bytes(Direction::Downstream),
            datagrams_overflowed: link.overflowed.load(Relaxed),
            toxics,
            toxics_forgotten: self.forgotten,
        }
    }
}
