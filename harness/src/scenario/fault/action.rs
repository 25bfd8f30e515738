//! What can be done to a process, or to a link as a whole.

use serde::{Deserialize, Serialize};

use super::super::Mode;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// SIGKILL.
    Kill,
    /// SIGTERM.
    Terminate,
    /// SIGSTOP: it stands still, and its sockets stay open.
    Freeze,
    /// SIGCONT.
    Thaw,
    /// Ended in good order if it runs, and started again on the same port.
    Restart,
    /// SIGHUP: the proxy reads its configuration again.
    Reload,
    /// SIGUSR2: the proxy starts its successor, hands over its socket and ends.
    Upgrade,
    /// The proxy sends nobody new to the backend.
    Drain,
    /// The proxy sends nobody new to the backend, and checks it no more.
    Disable,
    /// The proxy uses the backend again.
    Enable,
    /// Clients connect to the proxy's management port and say nothing.
    #[serde(rename = "silent-clients")]
    SilentClients,
    /// They hang up.
    #[serde(rename = "hang-up")]
    HangUp,
    /// It may use only so many descriptors, or so much memory, from then on.
    Limit,
    /// It may use as much as before.
    Unlimit,
    /// The link refuses connections, and cuts those that are open.
    Down,
    /// It takes connections again.
    Up,
}

impl Action {
    /// The word in a scenario.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Terminate => "terminate",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
            Self::Drain => "drain",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::SilentClients => "silent-clients",
            Self::HangUp => "hang-up",
            Self::Limit => "limit",
            Self::Unlimit => "unlimit",
            Self::Down => "down",
            Self::Up => "up",
        }
    }

    /// What undoes it.
    #[must_use]
    pub fn opposite(self) -> Option<Self> {
        match self {
            Self::Kill | Self::Terminate => Some(Self::Restart),
            Self::Freeze => Some(Self::Thaw),
            Self::Drain | Self::Disable => Some(Self::Enable),
            Self::SilentClients => Some(Self::HangUp),
            Self::Limit => Some(Self::Unlimit),
            Self::Down => Some(Self::Up),
            _ => None,
        }
    }

    /// Whether the proxy is told about a backend.
    #[must_use]
    pub fn is_about_backend(self) -> bool {
        matches!(self, Self::Drain | Self::Disable | Self::Enable)
    }

    /// Whether only a proxy can be told to do it.
    #[must_use]
    pub fn is_for_proxy(self) -> bool {
        self.is_about_backend()
            || self.is_at_management()
            || matches!(self, Self::Reload | Self::Upgrade)
    }

    /// Whether it is done at the port where a proxy for statsd is asked how it is.
    #[must_use]
    pub fn is_at_management(self) -> bool {
        matches!(self, Self::SilentClients | Self::HangUp)
    }

    /// Whether it is done to a link, and not to a process.
    #[must_use]
    pub fn is_for_link(self) -> bool {
        matches!(self, Self::Down | Self::Up)
    }

    /// Whether a proxy of that mode can be told to do it.
    pub(super) fn suits(self, mode: Mode) -> bool {
        match mode {
            _ if !self.is_for_proxy() => true,
            Mode::Foo | Mode::Udp => false,
            Mode::Tcp => !self.is_at_management(),
            Mode::Statsd => self.is_at_management() || self == Self::Reload,
        }
    }
}
