//! What a backend is told to be: its address, its share, its limits, its health policy.

use std::net::SocketAddr;

/// The greatest weight, as in HAProxy: enough for a hundredfold difference with room to
/// be fine about it, and small enough that sums of weights never overflow.
pub const MAX_WEIGHT: u32 = 256;

/// One backend as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSpec {
    /// The name in logs, metrics and the admin endpoint.
    pub name: String,
    /// Where to connect.
    pub addr: SocketAddr,
    /// Its share against the others', 1 to [`MAX_WEIGHT`]; what is outside is clamped.
    pub weight: u32,
    /// The most connections open or being dialled at once; `None` for no limit.
    pub max_connections: Option<u32>,
}

/// When a backend counts as down or up. All times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// Consecutive passed checks that bring a backend up again; 0 counts as 1.
    pub rise: u32,
    /// Consecutive failed checks that take it down; 0 counts as 1.
    pub fall: u32,
    /// Consecutive failed dials, or resets before the first byte, that eject it; 0 for never.
    pub eject_after: u32,
    /// How long the first ejection lasts; each further one in a row lasts twice as long.
    pub eject_base_ms: u64,
    /// The longest that an ejection lasts.
    pub eject_max_ms: u64,
    /// How long the share grows, linearly, after coming back; 0 for a full share at once.
    pub slow_start_ms: u64,
}

impl Default for HealthPolicy {
    /// Three to fall and three to rise, as the balancer that this one replaces; ejection
    /// after three failures in a row for 10 s to 5 min, as Envoy's outlier detection bounds
    /// it; no slow start.
    fn default() -> Self {
        Self {
            rise: 3,
            fall: 3,
            eject_after: 3,
            eject_base_ms: 10_000,
            eject_max_ms: 300_000,
            slow_start_ms: 0,
        }
    }
}

/// What the operator wants of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AdminState {
    /// It takes part.
    #[default]
    Enabled,
    /// No new connections; those that are open go on; its checks go on.
    Draining,
    /// No new connections; those that are open go on; its checks should stop. Enabled
    /// again, it starts unchecked, and with a slow start where there is one.
    Disabled,
}

impl AdminState {
    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}
