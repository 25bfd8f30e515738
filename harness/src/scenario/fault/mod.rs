//! What is done on purpose while clients are at work, and when.
//!
//! [`action`] is what can be done to a process, `check` says what makes no sense,
//! [`nemesis`] draws faults by chance, [`mod@timeline`] puts all in order of time.

pub mod action;
mod check;
pub mod nemesis;
pub mod timeline;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::units::Size;

pub use action::Action;
pub(super) use check::check;
pub use check::request;
pub use nemesis::Nemesis;
pub use timeline::{Deed, Step, timeline};

/// Something that is done to a process or to a link, or told to the proxy, once or again and
/// again; or, as a `nemesis`, whatever chance brings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Its number, where that is not its place in the scenario: what a nemesis drew.
    #[serde(skip)]
    pub id: Option<String>,
    /// When, after clients began.
    #[serde(with = "service::units::duration")]
    pub at: Duration,
    /// After how long it is undone: what was ended is started again, what was frozen thaws,
    /// a backend that was taken out is used again, a toxic is removed. It stays if absent.
    #[serde(
        rename = "for",
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "service::units::duration"
    )]
    pub lasts: Duration,
    /// Between two repetitions, from beginning to beginning; of a nemesis, between two
    /// faults on average.
    #[serde(
        default,
        skip_serializing_if = "Duration::is_zero",
        with = "service::units::duration"
    )]
    pub every: Duration,
    /// How often it is done in all; once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// To which process: `upstream`, `upstream.1`, `proxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// What, to a process or to a link as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The backend that the proxy is told about: `upstream.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The servers that are in the proxy's configuration from then on: `reload` in mode
    /// `statsd` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// How many descriptors a process may have open from then on: `limit` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
    /// How much address space a process may have from then on: `limit` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// On which link: `client-proxy`, `proxy-upstream`, `proxy-upstream.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Which kind of toxic, as `harness toxics kinds` lists them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toxic: Option<String>,
    /// The direction: `downstream`, which is from server to client, if absent, or `upstream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The share of connections that it is about; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toxicity: Option<f64>,
    /// How strong it is, by the toxic's attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Value>,
    /// How strong it is at its end: it grows from `attributes` to these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub to: BTreeMap<String, Value>,
    /// How faults are drawn, instead of being named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nemesis: Option<Nemesis>,
    /// The links that a nemesis may spoil.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// The processes that a nemesis may end and freeze.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<String>,
    /// Whether a nemesis may do several things at a time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overlap: bool,
}

impl Fault {
    /// How often it is done in all.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.times.unwrap_or(1)
    }

    /// Whether it is done to this process.
    #[must_use]
    pub fn is_at(&self, process: &str) -> bool {
        self.process.as_deref() == Some(process)
    }

    /// The direction of a link that it is on.
    #[must_use]
    pub fn stream(&self) -> &str {
        self.stream.as_deref().unwrap_or("downstream")
    }

    /// The share of connections that it is about.
    #[must_use]
    pub fn toxicity(&self) -> f64 {
        self.toxicity.unwrap_or(1.0)
    }

    /// What it is done to.
    #[must_use]
    pub fn target(&self) -> &str {
        let target = self.process.as_ref().or(self.link.as_ref());
        target.map_or("", String::as_str)
    }

    /// What is done, in a word.
    #[must_use]
    pub fn word(&self) -> &str {
        match (&self.toxic, self.action) {
            (Some(toxic), _) => toxic,
            (None, Some(action)) => action.word(),
            (None, None) => "nothing",
        }
    }
}
