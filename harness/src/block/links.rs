//! Links between the parties: relays in a process of their own, with faults that come and
//! go, and what those touched.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;

use report::event::{Event, LinkCounts, Role, Touch, Touched};
use report::tag;
use serde_json::{Value, json};
use toxics::record::{LinkRecord, ToxicsRecord};

use super::faults::Undone;
use super::start::words;
use super::{Block, Cut};
use crate::scenario::fault::{Deed, Step, request};
use crate::scenario::link::Place;
use crate::scenario::{Action, Fault};
use crate::supervisor::http;
use crate::supervisor::spawn::{Spec, THIS_EXECUTABLE};

/// Connections that are told one by one for each fault.
const NAMED: usize = 200;

/// The links of a block.
#[derive(Debug)]
pub(super) struct Links {
    /// Where they are steered.
    api: SocketAddr,
    /// Faults whose toxics are on links: the links by the number of the fault.
    spoilt: BTreeMap<String, Vec<Place>>,
}

impl Block<'_> {
    /// Starts the process of the links, with those in front of the servers; the proxy finds
    /// its servers there from then on.
    pub(super) async fn start_links(&mut self) -> Result<(), Cut> {
        let scenario = &self.planned.scenario;
        let places = scenario.links();
        if places.is_empty() {
            return Ok(());
        }
        let seed = crate::plan::split(self.plan.seed, "links").to_string();
        let mut args = words(&[
            "toxics",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--seed",
            &seed,
        ]);
        if let Some(directory) = &self.shared.plan.decisions {
            let (round, subject) = (self.plan.round, self.plan.subject.to_string());
            let name = format!("{}-{round}-{}.log", scenario.name, tag::part(&subject));
            std::fs::create_dir_all(directory).map_err(|error| {
                Cut::Problem(format!("cannot make {}: {error}", directory.display()))
            })?;
            args.extend([OsString::from("--decisions"), directory.join(name).into()]);
        }
        let spec = Spec {
            program: THIS_EXECUTABLE.into(),
            args,
            write_fds: vec!["--ready-fd"],
            core_dumps: self.shared.plan.core_dumps,
            ..Spec::default()
        };
        let api = self.start_and_wait(Role::Link, "links", spec).await?;
        self.links = Some(Links {
            api,
            spoilt: BTreeMap::new(),
        });
        for place in places {
            let Place::Upstream(nth) = place else {
                continue;
            };
            let Some(server) = self.backends.get(nth).map(|backend| backend.server) else {
                continue;
            };
            // Which node gets a key depends on the address of its link.
            let at = self.own_port(|ports| ports.links[nth % ports.links.len()]);
            self.backends[nth].at = self.open_link(place, &at, server).await?;
        }
        Ok(())
    }

    /// Puts the link in front of the proxy, if there is to be one.
    pub(super) async fn open_client_link(&mut self) -> Result<(), Cut> {
        let is_wanted = self.planned.scenario.links().contains(&Place::Client);
        if let Some(entry) = self.entry.filter(|_| is_wanted) {
            let door = self.open_link(Place::Client, "127.0.0.1:0", entry).await?;
            self.door = Some(door);
        }
        Ok(())
    }

    async fn open_link(
        &self,
        place: Place,
        listen: &str,
        server: SocketAddr,
    ) -> Result<SocketAddr, Cut> {
        let problem = |said: String| Cut::Problem(format!("a link cannot be made: {said}"));
        let scenario = &self.planned.scenario;
        let Some(links) = &self.links else {
            return Err(problem("there is nobody to make it".to_owned()));
        };
        let protocol = if scenario.has_datagrams() {
            "udp"
        } else {
            "tcp"
        };
        let wanted = json!({
            "name": scenario.link_name(place),
            "listen": listen,
            "upstream": server.to_string(),
            "protocol": protocol,
        });
        let made = http::send(links.api, "POST", "/proxies", &wanted.to_string()).await;
        let made: Value = made
            .and_then(|body| serde_json::from_str(&body).map_err(|error| error.to_string()))
            .map_err(problem)?;
        let at = made.get("listen").and_then(Value::as_str);
        at.and_then(|at| at.parse().ok())
            .ok_or_else(|| problem(format!("it listens nowhere: {made}")))
    }

    pub(super) fn are_links_dead(&self) -> bool {
        let mut children = self.children.iter();
        children.any(|child| child.role == Role::Link && !child.is_running())
    }

    /// Does one step of a fault on links.
    pub(super) async fn do_to_links(&mut self, step: &Step) -> Result<(), Undone> {
        let name = step.fault.target();
        let places = self.planned.scenario.links_called(name);
        match &step.deed {
            Deed::Spoil => self.spoil(&step.fault, &step.id, places).await,
            Deed::Change(attributes) => {
                self.emit(Event::FaultChanged {
                    id: step.id.clone(),
                    attributes: attributes.clone(),
                });
                let body = json!({ "attributes": attributes }).to_string();
                for place in places {
                    let path = format!("/toxics/{}", toxic_name(&step.id));
                    self.steer(place, "POST", &path, &body).await?;
                }
                Ok(())
            }
            Deed::Mend => self.mend(&step.id, places).await,
            Deed::Act(action) => self.turn(*action, &step.id, places).await,
        }
    }

    async fn spoil(&mut self, fault: &Fault, id: &str, places: Vec<Place>) -> Result<(), Undone> {
        let body = request(fault, &toxic_name(id), &fault.attributes).to_string();
        for place in &places {
            self.steer(*place, "POST", "/toxics", &body).await?;
        }
        if let Some(links) = &mut self.links {
            links.spoilt.insert(id.to_owned(), places);
        }
        Ok(())
    }

    async fn mend(&mut self, id: &str, places: Vec<Place>) -> Result<(), Undone> {
        let path = format!("/toxics/{}", toxic_name(id));
        for place in &places {
            self.steer(*place, "DELETE", &path, "").await?;
        }
        let record = self.links_record().await.map_err(Undone::Reason)?;
        if let Some(links) = &mut self.links {
            links.spoilt.remove(id);
        }
        self.tell_touch(id, &places, &record);
        Ok(())
    }

    /// Takes links down, or lets them take connections again.
    async fn turn(&mut self, action: Action, id: &str, places: Vec<Place>) -> Result<(), Undone> {
        let is_down = action == Action::Down;
        let before = if is_down {
            Some(self.links_record().await.map_err(Undone::Reason)?)
        } else {
            None
        };
        let body = json!({ "enabled": !is_down }).to_string();
        for place in &places {
            self.steer(*place, "POST", "", &body).await?;
        }
        let Some(record) = before else { return Ok(()) };
        let open = self.records(&places, &record);
        let connections = open.map(|(_, link)| link.connections_open).sum();
        let touch = Touch {
            hits: connections,
            connections,
            first_mono_ns: Some(record.at_ns),
            last_mono_ns: Some(record.at_ns),
            ..Touch::default()
        };
        self.emit(Event::FaultTouched {
            id: id.to_owned(),
            touch,
        });
        Ok(())
    }

    /// Asks one link for something.
    async fn steer(
        &self,
        place: Place,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<(), Undone> {
        let Some(links) = &self.links else {
            return Err(Undone::Reason("there is no such link".to_owned()));
        };
        let name = self.planned.scenario.link_name(place);
        let path = format!("/proxies/{name}{path}");
        let answer = http::send(links.api, method, &path, body).await;
        answer.map(drop).map_err(Undone::Reason)
    }

    /// What the links and their toxics have done so far.
    async fn links_record(&self) -> Result<ToxicsRecord, String> {
        let links = self.links.as_ref().ok_or("there are no links")?;
        let body = http::ask(links.api, "GET", "/record").await?;
        serde_json::from_str(&body).map_err(|error| format!("/record: {error}"))
    }

    /// The records of these links.
    fn records<'r>(
        &'r self,
        places: &'r [Place],
        record: &'r ToxicsRecord,
    ) -> impl Iterator<Item = (String, &'r LinkRecord)> {
        places.iter().filter_map(|place| {
            let name = self.planned.scenario.link_name(*place);
            let link = record.links.get(&name)?;
            Some((name, link))
        })
    }

    /// Tells what the toxics of a fault have touched.
    fn tell_touch(&self, id: &str, places: &[Place], record: &ToxicsRecord) {
        let mut touch = Touch::default();
        for (link, record) in self.records(places, record) {
            let name = toxic_name(id);
            for toxic in record.toxics.iter().filter(|toxic| toxic.name == name) {
                let counts = &toxic.counts;
                touch.hits += counts.hits;
                touch.bytes += counts.bytes;
                touch.connections += counts.connections;
                let times = |ns: u64| Some(ns).filter(|_| counts.hits > 0);
                let first = touch
                    .first_mono_ns
                    .into_iter()
                    .chain(times(counts.first_ns));
                touch.first_mono_ns = first.min();
                touch.last_mono_ns = touch.last_mono_ns.max(times(counts.last_ns));
                let room = NAMED.saturating_sub(touch.named.len());
                touch
                    .named
                    .extend(counts.touched.iter().take(room).map(|one| Touched {
                        link: link.clone(),
                        connection: one.connection,
                        mono_ns: one.at_ns,
                    }));
            }
        }
        let id = id.to_owned();
        self.emit(Event::FaultTouched { id, touch });
    }

    /// Notes what went over the links, and what faults have touched that are on them still.
    pub(super) async fn settle_links(&mut self) -> Result<(), Cut> {
        if self.links.is_none() {
            return Ok(());
        }
        let record = self.links_record().await;
        let record = record.map_err(|said| Cut::Problem(format!("the links: {said}")))?;
        let spoilt = self
            .links
            .as_mut()
            .map(|links| std::mem::take(&mut links.spoilt));
        for (id, places) in spoilt.into_iter().flatten() {
            self.tell_touch(&id, &places, &record);
        }
        let links = record.links.iter();
        let links = links.map(|(name, link)| (name.clone(), counts(link)));
        self.emit(Event::LinksCounted {
            links: links.collect(),
        });
        Ok(())
    }
}

fn counts(link: &LinkRecord) -> LinkCounts {
    let (up, down) = (link.upstream_bytes, link.downstream_bytes);
    LinkCounts {
        protocol: link.protocol.clone(),
        connections: link.connections_total,
        connections_failed: link.connections_failed,
        upstream_bytes: [up.received, up.sent],
        downstream_bytes: [down.received, down.sent],
    }
}

/// What the toxic of a fault is called on its links.
fn toxic_name(id: &str) -> String {
    format!("fault-{id}")
}
