//! What a scenario demands, as it is written.

use serde::{Deserialize, Serialize};

/// What must come of a scenario: one of `upstream`, `proxy`, `load`, `backend`,
/// `account`, `recovery`, `back` and `counts`, and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// What becomes of the upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What becomes of the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The signal that it dies of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The exit code that it ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// `METRIC OP VALUE`, `valid`, or `answered during attack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    /// Which load is meant; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// `METRIC OP VALUE` of the account of statsd lines: `unaccounted = 0`,
    /// `received >= 99.9 %`, `dropped.no_node > 0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// How soon after the end of each fault loads are served as before: `< 2s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<String>,
    /// What of a process is to be back at the end where it was before the first fault:
    /// `descriptors`, `memory`, `threads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
    /// `reconcile`, or `at-most-once`: no request reached a server twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<String>,
    /// Which process is meant by `upstream`, such as `upstream.1`, or by `back`; all if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The subject that `load` is beside, which then has a factor: `p99 < 0.8x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// The backend, such as `upstream.1`, that `ejected` or `readmitted` is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// How soon after a fault the proxy sends nobody there: `< 2s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ejected: Option<String>,
    /// How soon after its end it may be sent somebody again: `< 5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readmitted: Option<String>,
    /// The part of the run that is meant: `all`, or `before`, `during`, `after` its faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}
