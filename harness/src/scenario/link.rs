//! Links: relays that the harness puts between the parties, so that faults can be put on
//! what travels.

use serde::{Deserialize, Serialize};

use super::{Mode, Scenario};

/// A link that is there whether a fault names it or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Which: `client-proxy`, `proxy-upstream` for all servers, `proxy-upstream.1` for one.
    pub name: String,
}

/// One link of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Between clients and the proxy.
    Client,
    /// Between the proxy and the server of this number.
    Upstream(usize),
}

const CLIENT: &str = "client-proxy";
const UPSTREAM: &str = "proxy-upstream";

impl Scenario {
    /// The name of a link.
    #[must_use]
    pub fn link_name(&self, place: Place) -> String {
        match place {
            Place::Client => CLIENT.to_owned(),
            Place::Upstream(nth) if self.upstream.len() > 1 => format!("{UPSTREAM}.{nth}"),
            Place::Upstream(_) => UPSTREAM.to_owned(),
        }
    }

    /// The links that are meant by a name; none if there is no such link.
    #[must_use]
    pub fn links_called(&self, name: &str) -> Vec<Place> {
        let servers = 0..self.upstream.len().max(1);
        match name {
            CLIENT => vec![Place::Client],
            UPSTREAM => servers.map(Place::Upstream).collect(),
            _ => servers
                .filter(|nth| name == format!("{UPSTREAM}.{nth}"))
                .map(Place::Upstream)
                .collect(),
        }
    }

    /// The names by which links can be called.
    #[must_use]
    pub fn link_names(&self) -> Vec<String> {
        let mut names = vec![CLIENT.to_owned(), UPSTREAM.to_owned()];
        if self.upstream.len() > 1 {
            let each = (0..self.upstream.len()).map(|nth| self.link_name(Place::Upstream(nth)));
            names.extend(each);
        }
        names
    }

    /// The links that are put in place: those that are named anywhere.
    #[must_use]
    pub fn links(&self) -> Vec<Place> {
        let declared = self.link.iter().map(|link| &link.name);
        let of_faults = self.fault.iter();
        let of_faults = of_faults.flat_map(|fault| fault.link.iter().chain(&fault.links));
        let mut places: Vec<Place> = declared
            .chain(of_faults)
            .flat_map(|name| self.links_called(name))
            .collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether its links carry datagrams.
    #[must_use]
    pub fn has_datagrams(&self) -> bool {
        match self.proxy.mode {
            Mode::Statsd | Mode::Udp => true,
            Mode::Foo | Mode::Tcp => false,
        }
    }

    /// Why a name is that of no link, if it is none.
    pub(super) fn no_link(&self, name: &str) -> Option<String> {
        if !self.links_called(name).is_empty() {
            return None;
        }
        let accepted = self.link_names().join(", ");
        Some(format!("there is no link {name:?}; accepted: {accepted}"))
    }
}
