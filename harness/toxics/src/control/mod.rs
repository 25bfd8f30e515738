//! All links, and every change to them.
//!
//! [`body`] is what requests say, [`proxy`] a link with its toxics, [`socket`] where it
//! listens. One change is made at a time, and answered when every worker has made it: who
//! has an answer can rely on it.

pub mod body;
pub mod proxy;
pub mod socket;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::error::ApiError;
use crate::evidence::now_ns;
use crate::item::Medium;
use crate::link::Link;
use crate::record::{LinkRecord, ToxicsRecord};
use crate::toxic::Toxic;
use crate::worker::{Order, Workers};
use body::{Fields, NewLink};
use proxy::Proxy;
pub use wanted::check;
use wanted::{new_links, upstream};

/// Links that there may be: each has a socket.
const MOST_LINKS: usize = 10_000;

/// Toxics on one link: each is asked about everything that passes.
const MOST_TOXICS: usize = 256;

/// Deleted links that are remembered.
const REMEMBERED_LINKS: usize = 1_000;

/// All links by name, and what those left that were deleted.
#[derive(Debug, Default)]
pub struct Links {
    live: BTreeMap<String, Proxy>,
    deleted: Vec<(String, LinkRecord)>,
}

/// The control of all links.
#[derive(Debug)]
pub struct Control {
    seed: u64,
    workers: Workers,
    links: Mutex<Links>,
    next_id: AtomicU64,
}

impl Control {
    /// A control of no links.
    #[must_use]
    pub fn new(seed: u64, workers: Workers) -> Self {
        Self {
            seed,
            workers,
            links: Mutex::default(),
            next_id: AtomicU64::new(0),
        }
    }

    fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    async fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().await
    }

    /// Every link, by name.
    pub async fn proxies(&self) -> Value {
        let links = self.links().await;
        let all = links.live.iter();
        all.map(|(name, proxy)| (name.clone(), proxy.to_json()))
            .collect()
    }

    /// Something of one link.
    ///
    /// # Errors
    /// That there is no such link, or what `read` says.
    pub async fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Proxy) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        read(self.links().await.live.get(name).ok_or(ApiError::NoProxy)?)
    }

    /// Makes a link.
    ///
    /// # Errors
    /// Why not.
    pub async fn create(&self, wanted: NewLink) -> Result<Value, ApiError> {
        let mut links = self.links().await;
        if links.live.contains_key(&wanted.name) {
            return Err(ApiError::ProxyExists);
        }
        self.make(&mut links, wanted).await
    }

    async fn make(&self, links: &mut Links, wanted: NewLink) -> Result<Value, ApiError> {
        if links.live.len() >= MOST_LINKS {
            return Err(ApiError::TooMany(format!("{MOST_LINKS} proxies")));
        }
        let upstream = upstream(&wanted.upstream)?;
        let (id, count) = (self.id(), self.workers.count());
        let link = Link::new(id, &wanted.name, wanted.medium, upstream, self.seed, count);
        let mut proxy = Proxy::new(Arc::new(link), &wanted.listen, &wanted.upstream);
        check_room(&proxy, wanted.toxics.len())?;
        for toxic in wanted.toxics {
            self.warn(&proxy, &toxic);
            proxy.add(toxic, self.id());
        }
        if wanted.enabled {
            self.start(&mut proxy).await?;
        } else {
            // So that it is known now whether it can be.
            socket::parse(&proxy.asked)?;
        }
        let json = proxy.to_json();
        links.live.insert(wanted.name, proxy);
        Ok(json)
    }

    /// Makes links, or replaces those that differ; gives those up to the first failure.
    pub async fn populate(&self, list: &Value) -> (Vec<Value>, Option<ApiError>) {
        let wanted = match new_links(list) {
            Ok(wanted) => wanted,
            Err(error) => return (Vec::new(), Some(error)),
        };
        let mut links = self.links().await;
        let mut made = Vec::new();
        for link in wanted {
            if let Some(there) = links.live.get(&link.name) {
                let same_place = [&there.asked, &there.listen].contains(&&link.listen);
                let same = same_place && there.upstream == link.upstream;
                if same && there.link.medium == link.medium {
                    made.push(there.to_json());
                    continue;
                }
                let name = link.name.clone();
                self.end(&mut links, &name).await;
            }
            match self.make(&mut links, link).await {
                Ok(json) => made.push(json),
                Err(error) => return (made, Some(error)),
            }
        }
        (made, None)
    }

    /// Changes where a link listens or connects to, or whether it is up.
    ///
    /// # Errors
    /// Why not; a link that cannot listen is down.
    pub async fn update(&self, name: &str, body: &[u8]) -> Result<Value, ApiError> {
        let mut links = self.links().await;
        let proxy = links.live.get_mut(name).ok_or(ApiError::NoProxy)?;
        let value = body::decode(body)?;
        let fields = Fields::of(&value, "Proxy")?;
        let listen = fields.text("listen")?.unwrap_or(&proxy.listen).to_owned();
        let to = fields
            .text("upstream")?
            .unwrap_or(&proxy.upstream)
            .to_owned();
        let enabled = fields.truth("enabled")?.unwrap_or(proxy.enabled);
        let parsed = upstream(&to)?;
        socket::parse(&listen)?;
        let moves = listen != proxy.listen && listen != proxy.asked;
        if moves || to != proxy.upstream {
            self.stop(proxy).await;
        }
        if moves {
            proxy.asked.clone_from(&listen);
            proxy.listen = listen;
        }
        if to != proxy.upstream {
            proxy.upstream = to;
            proxy.link.set_upstream(parsed);
        }
        match (enabled, proxy.enabled) {
            (true, false) => self.start(proxy).await?,
            (false, true) => self.stop(proxy).await,
            _ => {}
        }
        Ok(proxy.to_json())
    }

    /// Deletes a link.
    ///
    /// # Errors
    /// That there is no such link.
    pub async fn delete(&self, name: &str) -> Result<(), ApiError> {
        let mut links = self.links().await;
        if self.end(&mut links, name).await {
            Ok(())
        } else {
            Err(ApiError::NoProxy)
        }
    }

    async fn end(&self, links: &mut Links, name: &str) -> bool {
        let Some(mut proxy) = links.live.remove(name) else {
            return false;
        };
        self.stop(&mut proxy).await;
        proxy.remove(|_| false);
        if links.deleted.len() == REMEMBERED_LINKS {
            links.deleted.remove(0);
        }
        links.deleted.push((name.to_owned(), proxy.record()));
        true
    }

    /// Adds a toxic.
    ///
    /// # Errors
    /// Why not.
    pub async fn add_toxic(&self, name: &str, body: &[u8]) -> Result<Value, ApiError> {
        let mut links = self.links().await;
        let proxy = links.live.get_mut(name).ok_or(ApiError::NoProxy)?;
        let value = body::decode(body)?;
        let is_taken = |name: &str| proxy.find(name).is_some();
        let toxic = body::new_toxic(&value, proxy.link.medium, is_taken)?;
        check_room(proxy, 1)?;
        self.warn(proxy, &toxic);
        let json = toxic.to_json();
        proxy.add(toxic, self.id());
        self.tell_workers(proxy).await;
        Ok(json)
    }

    /// Changes a toxic.
    ///
    /// # Errors
    /// Why not.
    pub async fn update_toxic(
        &self,
        name: &str,
        toxic: &str,
        body: &[u8],
    ) -> Result<Value, ApiError> {
        let mut links = self.links().await;
        let proxy = links.live.get_mut(name).ok_or(ApiError::NoProxy)?;
        let toxic = proxy.find(toxic).ok_or(ApiError::NoToxic)?;
        let updated = body::updated_toxic(toxic, &body::decode(body)?)?;
        let json = updated.to_json();
        proxy.update(updated);
        self.tell_workers(proxy).await;
        Ok(json)
    }

    /// Removes a toxic.
    ///
    /// # Errors
    /// That there is none.
    pub async fn remove_toxic(&self, name: &str, toxic: &str) -> Result<(), ApiError> {
        let mut links = self.links().await;
        let proxy = links.live.get_mut(name).ok_or(ApiError::NoProxy)?;
        if !proxy.remove(|there| there.name != toxic) {
            return Err(ApiError::NoToxic);
        }
        self.tell_workers(proxy).await;
        Ok(())
    }

    /// Removes every toxic and has every link up.
    ///
    /// # Errors
    /// That a link cannot listen.
    pub async fn reset(&self) -> Result<(), ApiError> {
        let mut links = self.links().await;
        for proxy in links.live.values_mut() {
            if proxy.remove(|_| false) {
                self.tell_workers(proxy).await;
            }
            if !proxy.enabled {
                self.start(proxy).await?;
            }
        }
        Ok(())
    }

    async fn tell_workers(&self, proxy: &Proxy) {
        let link = proxy.link.id;
        let order = |done| Order::TakeChain { link, done };
        self.workers.order_all(order).await;
    }

    async fn start(&self, proxy: &mut Proxy) -> Result<(), ApiError> {
        let medium = proxy.link.medium;
        let upstream = match medium {
            Medium::Stream => Vec::new(),
            Medium::Datagram => socket::look_up(proxy.link.upstream()).await?,
        };
        let (socket, at) = socket::open(medium, &proxy.listen)?;
        proxy.listen = at.to_string();
        proxy.enabled = true;
        let link = Arc::clone(&proxy.link);
        let order = Order::Listen {
            link,
            socket,
            at,
            upstream,
        };
        self.workers.order(proxy.link.id, order);
        tracing::info!("{} listens on {at} for {}", proxy.link.name, proxy.upstream);
        Ok(())
    }

    async fn stop(&self, proxy: &mut Proxy) {
        if std::mem::take(&mut proxy.enabled) {
            proxy.link.closings.fetch_add(1, Relaxed);
            let link = proxy.link.id;
            let order = |done| Order::Close { link, done };
            self.workers.order_all(order).await;
        }
    }

    fn warn(&self, proxy: &Proxy, toxic: &Toxic) {
        if toxic.kind.name == "packet_loss" && proxy.link.medium == Medium::Stream {
            let name = &proxy.link.name;
            tracing::warn!("{name}: packet_loss on TCP takes bytes out of the stream");
        }
    }

    /// The addresses of all links that are up, by name.
    pub async fn sockets(&self) -> Vec<(String, String)> {
        let links = self.links().await;
        let up = links.live.iter().filter(|(_, proxy)| proxy.enabled);
        up.map(|(name, proxy)| (name.clone(), proxy.listen.clone()))
            .collect()
    }

    /// What all links did.
    pub async fn record(&self) -> ToxicsRecord {
        let links = self.links().await;
        let mut all: BTreeMap<String, LinkRecord> = BTreeMap::new();
        for (name, proxy) in &links.live {
            all.insert(name.clone(), proxy.record());
        }
        for (name, record) in &links.deleted {
            let names = (1..).map(|n| match n {
                1 => name.clone(),
                n => format!("{name}#{n}"),
            });
            let free = names.into_iter().find(|name| !all.contains_key(name));
            all.insert(free.expect("there is always a next number"), record.clone());
        }
        ToxicsRecord {
            seed: self.seed,
            at_ns: now_ns(),
            links: all,
        }
    }

    /// Has every worker write out its log of decisions.
    pub async fn flush(&self) {
        self.workers.order_all(|done| Order::Flush { done }).await;
    }

    /// Ends all links.
    pub fn stop_workers(self) {
        self.workers.stop();
    }
}

fn check_room(proxy: &Proxy, more: usize) -> Result<(), ApiError> {
    if proxy.count() + more > MOST_TOXICS {
        let text = format!("{MOST_TOXICS} toxics on a proxy");
        return Err(ApiError::TooMany(text));
    }
    Ok(())
}
