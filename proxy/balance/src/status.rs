//! What a backend is at a moment.

use std::fmt;

/// What the active checks say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CheckState {
    /// No check has ended yet: connections are let through.
    #[default]
    Unknown,
    /// The checks pass.
    Up,
    /// The checks fail.
    Down,
}

/// The state of a backend at a moment. Where several hold, the first in this order shows:
/// disabled, draining, down, ejected, slow start, unknown or up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Takes its full share, though no check has ended yet.
    Unknown,
    /// Takes its full share.
    Up,
    /// Came back a while ago and takes a growing share.
    SlowStart,
    /// The active checks fail.
    Down,
    /// Dials or connections failed in a row: out until that time.
    Ejected {
        /// When it takes connections again, on the caller's clock.
        until_ms: u64,
    },
    /// The operator lets it run dry.
    Draining,
    /// The operator took it out, checks included.
    Disabled,
}

impl Status {
    /// Whether new connections go there.
    pub const fn takes_connections(self) -> bool {
        matches!(self, Self::Unknown | Self::Up | Self::SlowStart)
    }

    /// The name in lower case, without what varies: a label for a metric.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::SlowStart => "slow-start",
            Self::Down => "down",
            Self::Ejected { .. } => "ejected",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
