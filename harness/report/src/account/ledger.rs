//! Gathering the account of a block while it goes on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::flow::{self, Lost, Node, Sent};
use super::sink::{Numbers, SinkRecord};
use super::told::{Told, ToldNode};
use super::{Account, Datagrams, Keeper, NodeShare, keys};
use crate::event::{Event, Fault, Role, ScenarioHeader, Target, Transition};
use crate::evidence::Block;
use crate::figures::DIRECT;
use crate::verdict::notice::is_out;

/// What is known of the lines of the block that runs.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    is_statsd: bool,
    /// The servers that are in the ring from the beginning, if not all are.
    first_nodes: Vec<String>,
    servers: BTreeMap<String, Server>,
    state: Option<Value>,
    kernel_drops: Option<u64>,
    disturbed: BTreeSet<String>,
    /// The servers that were in the ring at any time, as often as it was told anew.
    rings: Vec<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Server {
    address: String,
    lives: Vec<Option<SinkRecord>>,
    went_down_by_itself: bool,
    is_up: bool,
}

impl Ledger {
    /// Takes the next event of a scenario.
    pub(crate) fn begin_scenario(&mut self, header: &ScenarioHeader) {
        let config = &header.config;
        self.is_statsd = config.pointer("/proxy/mode").and_then(Value::as_str) == Some("statsd");
        let nodes = config.pointer("/proxy/nodes").and_then(Value::as_array);
        let names = nodes.into_iter().flatten().filter_map(Value::as_str);
        self.first_nodes = names.map(str::to_owned).collect();
        self.begin_block();
    }

    fn begin_block(&mut self) {
        *self = Self {
            is_statsd: self.is_statsd,
            first_nodes: std::mem::take(&mut self.first_nodes),
            ..Self::default()
        };
        if !self.first_nodes.is_empty() {
            self.rings.push(self.first_nodes.iter().cloned().collect());
        }
    }

    /// Takes the next event of a block; `block` is what it showed until then. At its end
    /// that gets its account.
    pub(crate) fn take(&mut self, event: &Event, block: &mut Block) {
        if !self.is_statsd {
            return;
        }
        match event {
            Event::BlockStarted { .. } => self.begin_block(),
            Event::ChildStarted {
                role: Role::Upstream,
                name,
                ..
            } => self.server(name).lives.push(None),
            Event::ChildReady {
                role: Role::Upstream,
                name,
                sockets,
            } => {
                let listen = sockets.get("listen").cloned().unwrap_or_default();
                self.server(name).address = listen;
            }
            Event::Counted {
                role: Role::Upstream,
                name,
                counts,
            } => {
                let server = self.server(name.as_deref().unwrap_or(Role::Upstream.word()));
                let hits = counts.pointer("/hits/flap").and_then(Value::as_u64);
                server.went_down_by_itself |= hits.is_some_and(|hits| hits > 0);
                if let Some(life) = server.lives.last_mut() {
                    *life = SinkRecord::of(counts);
                }
            }
            Event::ProxyCounted {
                state,
                kernel_drops,
            } => (self.state, self.kernel_drops) = (state.clone(), *kernel_drops),
            Event::FaultBegan(fault) => self.take_fault(fault),
            Event::BackendChanged(change) => self.take_change(change),
            Event::BlockEnded { .. } => block.account = self.close(block),
            _ => {}
        }
    }

    fn server(&mut self, name: &str) -> &mut Server {
        self.servers.entry(name.to_owned()).or_default()
    }

    fn take_fault(&mut self, fault: &Fault) {
        if self.servers.contains_key(&fault.target) {
            self.disturbed.insert(fault.target.clone());
        }
        if !fault.nodes.is_empty() {
            self.rings.push(fault.nodes.iter().cloned().collect());
        }
    }

    fn take_change(&mut self, change: &Transition) {
        let goes = is_out(&change.to);
        let name = change.backend.clone();
        let server = self.server(&name);
        let was_up = std::mem::replace(&mut server.is_up, !goes);
        if goes && was_up {
            self.disturbed.insert(name);
        }
    }

    /// What became of every line, as far as anybody tells.
    fn close(&mut self, block: &Block) -> Option<Account> {
        let (sent, senders, not_sent) = sent(block);
        if self.servers.is_empty() || (sent.lines == 0 && sent.garbage == 0) {
            return None;
        }
        let told = self.state.as_ref().and_then(Told::of);
        let nodes = self.nodes(told.as_ref());
        let mut account = received(&nodes, &senders);
        account.not_sent = not_sent;
        account.sent = sent.lines;
        account.garbage = sent.garbage;
        account.missing = sent.lines.saturating_sub(account.received);
        let garbage_missing = sent.garbage.saturating_sub(account.other);
        account.keeper = match &told {
            _ if block.subject == DIRECT => Keeper::Direct,
            Some(_) => Keeper::Proxy,
            None => Keeper::Nobody,
        };
        let missing = account.missing + garbage_missing;
        let lost = match &told {
            _ if account.keeper == Keeper::Direct => flow::direct(&sent, &nodes),
            Some(told) => flow::through_proxy(&sent, told, &nodes),
            None => flow::through_nobody(&sent, missing, self.kernel_drops, &nodes),
        };
        account.tell(lost, told.as_ref(), missing);
        account.datagrams = self.datagrams(&sent, told.as_ref(), &nodes);
        account.keys = keys::moved(&nodes, &self.all_disturbed());
        account.nodes = nodes.iter().map(share).collect();
        Some(account)
    }

    fn nodes(&self, told: Option<&Told>) -> Vec<Node> {
        let of = |address: &str| -> Option<ToldNode> {
            let mut nodes = told?.nodes.iter();
            nodes
                .find(|node| node.address.as_deref() == Some(address))
                .cloned()
        };
        let node = |(name, server): (&String, &Server)| Node {
            name: name.clone(),
            told: of(&server.address),
            lives: server.lives.clone(),
            was_gone: server.went_down_by_itself || self.disturbed.contains(name),
        };
        let mut nodes: Vec<Node> = self.servers.iter().map(node).collect();
        // As they stand in the scenario, `upstream.10` behind `upstream.9`.
        nodes.sort_by_key(|node| (node.name.len(), node.name.clone()));
        nodes
    }

    /// Also those that were not in the ring all the time.
    fn all_disturbed(&self) -> BTreeSet<String> {
        let mut disturbed = self.disturbed.clone();
        if !self.rings.is_empty() {
            let mut rings = self.rings.clone();
            if self.first_nodes.is_empty() {
                rings.push(self.servers.keys().cloned().collect());
            }
            let is_always_there = |name: &&String| rings.iter().all(|ring| ring.contains(*name));
            let some = self.servers.keys().filter(|name| !is_always_there(name));
            disturbed.extend(some.cloned());
        }
        disturbed
    }

    fn datagrams(&self, sent: &Sent, told: Option<&Told>, nodes: &[Node]) -> Datagrams {
        Datagrams {
            sent: sent.datagrams,
            received: told.map(|told| told.datagrams.received),
            kernel_before: told.map(|told| told.kernel_drops).or(self.kernel_drops),
            forwarded: told.map(|told| told.datagrams.forwarded),
            refused: told.map(|told| told.datagrams.refused),
            kernel_behind: nodes.iter().map(Node::kernel_drops).sum(),
            arrived: nodes.iter().map(Node::datagrams).sum(),
        }
    }
}

fn share(node: &Node) -> NodeShare {
    NodeShare {
        name: node.name.clone(),
        forwarded: node.told.as_ref().map(|told| told.lines),
        received: node.lines(),
        lives: node.lives.len() as u64,
        lost_records: node.lost_records(),
    }
}

/// A load client: its name in the lines, and the number behind its last.
type Sender = (String, u64);

/// What the clients of a block sent, and what they did not.
fn sent(block: &Block) -> (Sent, Vec<Sender>, u64) {
    let (mut sent, mut senders, mut not_sent) = (Sent::default(), Vec::new(), 0);
    let aims = |target: Target| target == Target::Proxy || block.subject == DIRECT;
    for load in block.loads.iter().filter(|load| aims(load.target)) {
        let Some(record) = load
            .record
            .as_ref()
            .and_then(|record| record.statsd.as_ref())
        else {
            continue;
        };
        let unsent: u64 = record.not_sent.values().sum();
        sent.lines += record.lines_total;
        sent.datagrams += record.datagrams_total;
        sent.most_lines = sent.most_lines.max(record.lines_per_datagram);
        senders.push((record.sender.clone(), record.numbers));
        not_sent += unsent;
    }
    for fuzz in block.fuzzes.iter().filter(|fuzz| aims(fuzz.target)) {
        if let Some(garbage) = fuzz
            .record
            .as_ref()
            .and_then(|record| record.datagrams.as_ref())
        {
            sent.garbage += garbage.lines;
            sent.datagrams += garbage.sent;
            sent.most_lines = sent.most_lines.max(garbage.most_lines);
        }
    }
    (sent, senders, not_sent)
}

/// What the servers saw.
fn received(nodes: &[Node], senders: &[Sender]) -> Account {
    let mut account = Account::default();
    let mut numbered = 0;
    let records = || nodes.iter().flat_map(|node| node.lives.iter().flatten());
    for (sender, end) in senders {
        let (mut numbers, mut lines) = (Numbers::default(), 0);
        for seen in records().filter_map(|record| record.senders.get(sender)) {
            lines += seen.lines;
            if !numbers.add(&seen.seen) {
                account
                    .notes
                    .push(format!("a bitmap of {sender} cannot be read"));
            }
        }
        let (known, beyond) = numbers.split_at(*end);
        account.received += known;
        account.unexpected += beyond;
        account.duplicated += lines.saturating_sub(known + beyond);
        numbered += lines;
    }
    let all: u64 = nodes.iter().map(Node::lines).sum();
    account.other = all.saturating_sub(numbered);
    let is_known = |name: &String| senders.iter().any(|(known, _)| known == name);
    let strangers = records().flat_map(|record| &record.senders);
    let strangers = strangers.filter(|(name, _)| !is_known(name));
    account.unexpected += strangers.map(|(_, seen)| seen.lines).sum::<u64>();
    account
}

impl Account {
    /// Puts down what is told of the lines that are missing, and what is left over.
    fn tell(&mut self, lost: Lost, told: Option<&Told>, missing: u64) {
        self.kernel_before = lost.kernel_before;
        self.kernel_behind = lost.kernel_behind;
        self.refused = lost.refused;
        self.died = lost.died;
        let mut copies_lost = 0;
        if let Some(told) = told.filter(|_| self.keeper == Keeper::Proxy) {
            let lines = &told.lines;
            let known = lines.dropped.iter().filter(|(_, count)| **count > 0);
            self.dropped = known.map(|(why, count)| (why.clone(), *count)).collect();
            self.pending = lines.pending;
            self.rerouted = lines.rerouted;
            self.mirrored = lines.mirrored;
            // A copy that is lost is told to be lost, and is no line that is missing.
            copies_lost = lines.mirrored.saturating_sub(self.duplicated);
            if !told.is_sound() {
                self.notes.push(format!(
                    "the proxy contradicts itself: {} received, {} forwarded, {} dropped, {} pending",
                    lines.received,
                    lines.forwarded,
                    self.dropped_total(),
                    lines.pending
                ));
            }
        }
        let explained = lost.total() + self.dropped_total() + self.pending;
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.unaccounted = signed(missing + copies_lost) - signed(explained);
    }
}
