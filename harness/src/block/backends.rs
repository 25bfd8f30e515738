//! What the proxy thinks of its backends: asked for again and again, and told.

use std::time::{Duration, Instant};

use report::event::{Event, Transition};
use serde_json::Value;
use service::clock::mono_ns;

use super::Block;
use super::faults::Undone;
use crate::supervisor::http;
use crate::supervisor::notes::Note;

/// Between two questions: often enough that the history of a proxy that is upgraded is not
/// lost with it, seldom enough to be no load.
const PAUSE: Duration = Duration::from_millis(200);

/// Transitions that have been told already: backend, time, what it came to.
#[derive(Debug, Default)]
pub(super) struct Transitions(std::collections::BTreeSet<(String, u64, String)>);

/// One transition of a backend as the proxy tells it.
#[derive(Debug, PartialEq)]
struct Told {
    at_unix_ms: u64,
    from: String,
    to: String,
    why: String,
}

impl Block<'_> {
    /// Asks the proxy again and again, until the block is over.
    pub(super) fn watch_backends(&self) {
        let Some(admin) = self.admin else { return };
        let is_asked = self.speaks_of_backends() || self.is_about_lines();
        if self.planned.scenario.fault.is_empty() && !is_asked {
            return;
        }
        let sink = self.sink.clone();
        tokio::spawn(async move {
            loop {
                if let Ok(body) = http::ask(admin, "GET", "/state").await
                    && let Ok(state) = serde_json::from_str(&body)
                    && sink.send(Note::State(state)).is_err()
                {
                    return;
                }
                if sink.is_closed() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    fn speaks_of_backends(&self) -> bool {
        let mut expects = self.planned.scenario.expect.iter();
        expects.any(|expect| expect.backend.is_some())
    }

    /// Asks once more, at the end.
    pub(super) async fn last_state(&mut self) {
        if let Some(state) = self.state().await {
            self.take_state(&state);
        }
    }

    /// What the proxy says of itself, if it can be asked.
    pub(super) async fn state(&self) -> Option<Value> {
        let body = http::ask(self.admin?, "GET", "/state").await.ok()?;
        serde_json::from_str(&body).ok()
    }

    /// Tells the proxy what to think of a backend.
    pub(super) async fn tell_proxy(&mut self, backend: &str, what: &str) -> Result<(), Undone> {
        let Some(admin) = self.admin else {
            let reason = "the proxy has no admin endpoint to be told at".to_owned();
            return Err(Undone::Reason(reason));
        };
        let known = self.backends.iter().find(|known| known.name == backend);
        let Some(at) = known.map(|known| known.at) else {
            return Err(Undone::Reason(format!("there is no {backend}")));
        };
        let path = format!("/backends/{at}/{what}");
        let asking = http::ask(admin, "POST", &path).await;
        asking.map(drop).map_err(Undone::Reason)?;
        // What it has to say meanwhile is heard.
        self.listen_until(Instant::now(), |_| false).await?;
        Ok(())
    }

    /// Takes what the proxy thinks of its backends, as far as it is new.
    pub(super) fn take_state(&mut self, state: &Value) {
        self.said_by = state.get("pid").and_then(Value::as_u64);
        let (now_ns, now_ms) = (mono_ns(), service::clock::unix_ms());
        for backend in backends_of(state) {
            let address = backend.get("address").and_then(Value::as_str);
            let mut known = self.backends.iter();
            let known = known.find(|known| address == Some(&known.at.to_string()));
            let name = known.map(|known| known.name.clone());
            let Some(name) = name else { continue };
            for told in history(backend) {
                let key = (name.clone(), told.at_unix_ms, told.to.clone());
                if !self.known.0.insert(key) {
                    continue;
                }
                let ago_ms = now_ms.saturating_sub(told.at_unix_ms);
                let mono_ns = now_ns.saturating_sub(ago_ms * 1_000_000);
                let changed = Event::BackendChanged(Transition {
                    backend: name.clone(),
                    from: told.from,
                    to: told.to,
                    why: told.why,
                });
                self.shared.recorder.borrow_mut().take_at(mono_ns, changed);
            }
        }
    }
}

/// Every backend of every pool, or every node.
fn backends_of(state: &Value) -> Vec<&Value> {
    let pools = state.get("pools").and_then(Value::as_array);
    let in_pools = pools
        .into_iter()
        .flatten()
        .filter_map(|pool| pool.get("backends")?.as_array());
    // A proxy for statsd has one ring, and calls them nodes.
    let nodes = state.get("nodes").and_then(Value::as_array);
    in_pools
        .flatten()
        .chain(nodes.into_iter().flatten())
        .collect()
}

fn history(backend: &Value) -> Vec<Told> {
    let list = backend.get("history").and_then(Value::as_array);
    let text = |value: &Value, key: &str| {
        let text = value.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    list.into_iter()
        .flatten()
        .filter_map(|one| {
            Some(Told {
                at_unix_ms: one.get("unix_ms")?.as_u64()?,
                from: text(one, "from"),
                to: text(one, "to"),
                why: text(one, "why"),
            })
        })
        .collect()
}
