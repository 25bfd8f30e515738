//! The nodes of the configuration: where each is, how it is, and what it was sent.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use balance::hashring::HashRing;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::check::{self, Outcome};
use super::config::NodeAt;
use super::health::Health;
use super::plan::{CheckPlan, Plan};
use super::settings::{NOWHERE, Node, NodeCounters, Settings};
use crate::discovery::Discovery;

/// What a node's task has to say.
#[derive(Debug)]
pub(super) struct Event {
    /// Which member it is about, as it was when the task began.
    id: u64,
    /// How a check went; nothing if there is no admin port and time has passed.
    outcome: Option<Outcome>,
}

impl Event {
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }
}

/// What there is to know of a node before it is made a member.
#[derive(Debug)]
pub(super) struct Found {
    ip: Result<IpAddr, String>,
    outcome: Option<Outcome>,
}

/// Looks a node's name up and checks it once.
pub(super) async fn find(discovery: &Arc<Discovery>, at: &NodeAt, checks: CheckPlan) -> Found {
    let ips = discovery.resolve(&at.host).await;
    let ip = ips.map(|ips| ips[0]);
    let outcome = match (&ip, at.admin_port) {
        (Ok(ip), Some(port)) => Some(check::ask(SocketAddr::new(*ip, port), checks.timeout).await),
        _ => None,
    };
    Found { ip, outcome }
}

/// What a node was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sent {
    pub(super) lines: u64,
    pub(super) mirrored: u64,
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
    pub(super) refused: u64,
    pub(super) held_lines: u64,
}

/// A node of the configuration.
pub(super) struct Member {
    pub(super) at: NodeAt,
    pub(super) node: Arc<Node>,
    pub(super) health: Health,
    /// What it was sent while its name stood for other addresses.
    earlier: Sent,
    /// What it was until then, as long as workers may still count what they send there.
    leaving: Vec<Arc<Node>>,
    id: u64,
    checks: CancellationToken,
}

/// All nodes of the configuration, in its order.
pub(super) struct Members {
    list: Vec<Member>,
    /// The ring over all of them.
    whole: Arc<HashRing>,
    checks: CheckPlan,
    events: UnboundedSender<Event>,
    next_id: u64,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.checks.cancel();
    }
}

impl Sent {
    /// With what else was counted.
    fn and(self, more: &NodeCounters) -> Self {
        let sum = |before, counter: &AtomicU64| before + counter.load(Ordering::Relaxed);
        Self {
            lines: sum(self.lines, &more.lines),
            mirrored: sum(self.mirrored, &more.mirrored),
            datagrams: sum(self.datagrams, &more.datagrams),
            bytes: sum(self.bytes, &more.bytes),
            refused: sum(self.refused, &more.refused),
            held_lines: sum(self.held_lines, &more.held_lines),
        }
    }
}

impl Member {
    /// Where it is, if that is known.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.node.is_found().then_some(self.node.addr)
    }

    /// Where it says how it is.
    pub(super) fn admin(&self) -> Option<SocketAddr> {
        let ip = self.addr()?.ip();
        self.at.admin_port.map(|port| SocketAddr::new(ip, port))
    }

    pub(super) fn sent(&self) -> Sent {
        let nodes = self.leaving.iter().chain([&self.node]);
        nodes.fold(self.earlier, |sum, node| sum.and(&node.counters))
    }

    /// It is somewhere else from now on, where it has refused nothing.
    fn move_to(&mut self, ip: IpAddr) {
        let addr = SocketAddr::new(ip, self.at.port);
        let node = Arc::new(Node::new(self.at.name(), addr));
        self.leaving.push(std::mem::replace(&mut self.node, node));
        let earlier = &mut self.earlier;
        self.leaving.retain_mut(|node| {
            // Nobody else has it: what was counted stays as it is.
            let left = Arc::get_mut(node).map(|node| earlier.and(&node.counters));
            if let Some(sum) = left {
                *earlier = sum;
            }
            left.is_none()
        });
        self.health.forget_refusals();
    }

    fn judge(&mut self, outcome: Option<&Outcome>, patience: Duration) -> bool {
        if self.addr().is_none() {
            return false;
        }
        match outcome {
            Some(Outcome::Healthy) => self.health.passed(),
            Some(Outcome::Unhealthy(why)) => self.health.failed(why),
            Some(Outcome::NotAsked(_)) => false,
            None => self.health.unchecked(Instant::now(), patience),
        }
    }

    /// Says what has become of it.
    fn tell(&self) {
        let Some(last) = self.health.last() else {
            return;
        };
        let (name, from, to) = (self.at.name(), last.from.name(), last.to.name());
        let why = &last.why;
        if self.health.is_up() {
            // From now on its refusals are news again.
            self.node.hear_refusals();
            tracing::info!("node {name} is {to}, was {from}: {why}");
        } else {
            tracing::warn!("node {name} is {to}, was {from}: {why}");
        }
    }
}

impl Members {
    pub(super) fn new(checks: CheckPlan, events: UnboundedSender<Event>) -> Self {
        Self {
            list: Vec::new(),
            whole: Arc::default(),
            checks,
            events,
            next_id: 0,
        }
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.list.iter()
    }

    /// Nodes of a plan that have to be looked at before it can come into force.
    pub(super) fn unknown_of(&self, plan: &Plan) -> Vec<NodeAt> {
        let is_known = |at: &&NodeAt| {
            let same = |known: &&NodeAt| known.host == at.host && known.port == at.port;
            let mut known = self.list.iter().map(|member| &member.at);
            known
                .find(same)
                .is_some_and(|known| known.admin_port == at.admin_port)
        };
        let nodes = plan.nodes.iter();
        nodes.filter(|at| !is_known(at)).cloned().collect()
    }

    /// Makes the nodes of a plan the members, and `whole` [their ring](Plan::ring). Those
    /// that stay keep their health, their counters and their address.
    pub(super) fn replace(
        &mut self,
        plan: &Plan,
        whole: Arc<HashRing>,
        mut found: HashMap<String, Found>,
    ) {
        self.whole = whole;
        let restart = self.checks != plan.checks;
        self.checks = plan.checks;
        let mut before: HashMap<String, Member> = std::mem::take(&mut self.list)
            .into_iter()
            .map(|member| (member.at.name(), member))
            .collect();
        for at in &plan.nodes {
            let name = at.name();
            let news = found.remove(&name);
            let mut member = match before.remove(&name) {
                Some(mut member) => {
                    let same = member.at.admin_port == at.admin_port;
                    member.at = at.clone();
                    member.health.set_rules(plan.checks.rules);
                    if restart || !same {
                        self.watch(&mut member, plan.checks.interval);
                    }
                    member
                }
                None => {
                    let mut member = Member {
                        node: Arc::new(Node::new(name.clone(), NOWHERE)),
                        at: at.clone(),
                        health: Health::new(plan.checks.rules),
                        earlier: Sent::default(),
                        leaving: Vec::new(),
                        id: 0,
                        checks: CancellationToken::new(),
                    };
                    match news.as_ref().map(|news| &news.ip) {
                        Some(Ok(ip)) => member.move_to(*ip),
                        Some(Err(why)) => {
                            member.health.unresolved(why);
                            member.tell();
                        }
                        None => {}
                    }
                    self.watch(&mut member, plan.checks.interval);
                    member
                }
            };
            if let Some(news) = news
                && member.judge(news.outcome.as_ref(), plan.checks.interval)
            {
                member.tell();
            }
            self.list.push(member);
        }
        for name in before.keys() {
            tracing::info!("node {name} is no longer in the configuration");
        }
    }

    /// What workers route by.
    pub(super) fn settings(&self, plan: &Plan) -> Settings {
        let nodes = self.list.iter().map(|one| Arc::clone(&one.node)).collect();
        let up = self.list.iter().map(|one| one.health.is_up()).collect();
        Settings::on(Arc::clone(&self.whole), nodes, up, plan.policy)
    }

    /// A check has ended. Says whether workers have to know, as all of these do.
    pub(super) fn checked(&mut self, event: &Event) -> bool {
        let patience = self.checks.interval;
        let mut list = self.list.iter_mut();
        let member = list.find(|member| member.id == event.id);
        member.is_some_and(|member| {
            let changed = member.judge(event.outcome.as_ref(), patience);
            if changed {
                member.tell();
            }
            changed
        })
    }

    /// A node's host has sent a datagram back.
    pub(super) fn refused(&mut self, node: &Arc<Node>) -> bool {
        let mut list = self.list.iter_mut();
        let member = list.find(|member| Arc::ptr_eq(&member.node, node));
        member.is_some_and(|member| {
            let changed = member.health.refused(Instant::now());
            if changed {
                member.tell();
            }
            changed
        })
    }

    /// Names may stand for other addresses than before.
    pub(super) fn names_changed(&mut self, discovery: &Discovery) -> bool {
        let states = discovery.states();
        let mut list = std::mem::take(&mut self.list);
        let mut changed = false;
        for member in &mut list {
            let state = states.iter().find(|state| state.name == member.at.host);
            let Some(ips) = state.map(|state| &state.addresses) else {
                continue;
            };
            let now = member.addr().map(|addr| addr.ip());
            let Some(&ip) = ips
                .first()
                .filter(|_| !now.is_some_and(|ip| ips.contains(&ip)))
            else {
                continue;
            };
            member.move_to(ip);
            changed = true;
            if now.is_none() {
                member.health.resolved(&format!("its name is {ip} now"));
                member.tell();
            }
            self.watch(member, Duration::ZERO);
        }
        self.list = list;
        changed
    }

    /// Checks a node from now on where it is now, for the first time after `delay`.
    fn watch(&mut self, member: &mut Member, delay: Duration) {
        member.checks.cancel();
        self.next_id += 1;
        member.id = self.next_id;
        member.checks = CancellationToken::new();
        if member.addr().is_none() {
            return;
        }
        let (id, admin, plan) = (member.id, member.admin(), self.checks);
        let (events, stopped) = (self.events.clone(), member.checks.clone());
        tokio::spawn(async move {
            let repeat = async {
                let mut ticks = interval_at((Instant::now() + delay).into(), plan.interval);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    let outcome = match admin {
                        Some(admin) => Some(check::ask(admin, plan.timeout).await),
                        None => None,
                    };
                    if events.send(Event { id, outcome }).is_err() {
                        return;
                    }
                }
            };
            stopped.run_until_cancelled(repeat).await
        });
    }
}

#[cfg(test)]
#[path = "nodes_tests.rs"]
mod tests;
