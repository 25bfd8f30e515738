//! What a toxic is: its kind, its place and its attributes, as the API speaks of it.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::attributes::{Attribute, Attributes};
use crate::item::Medium;
use crate::stage::Stage;

/// A direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From the client to the server.
    Upstream = 0,
    /// From the server to the client.
    Downstream = 1,
}

impl Direction {
    /// Both, in the order in which the API lists them.
    pub const BOTH: [Self; 2] = [Self::Upstream, Self::Downstream];

    /// The index of the end that sends in this direction: 0 the client, 1 the server.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stream was invalid, can be either upstream or downstream")]
pub struct NoDirection;

impl FromStr for Direction {
    type Err = NoDirection;

    fn from_str(text: &str) -> Result<Self, NoDirection> {
        Self::BOTH
            .into_iter()
            .find(|direction| direction.name().eq_ignore_ascii_case(text))
            .ok_or(NoDirection)
    }
}

/// What a kind of toxic can be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fits {
    /// Any link.
    Both,
    /// TCP links.
    Stream,
    /// UDP links.
    Datagram,
}

impl Fits {
    /// Whether a kind of toxic makes sense on a link.
    #[must_use]
    pub fn fits(self, medium: Medium) -> bool {
        match self {
            Self::Both => true,
            Self::Stream => medium == Medium::Stream,
            Self::Datagram => medium == Medium::Datagram,
        }
    }
}

/// What a toxic works on.
#[derive(Clone, Copy, Debug)]
pub enum Acts {
    /// What travels: it makes a stage for each direction of a connection that it meets.
    OnTraffic(fn(&Attributes, u64) -> Box<dyn Stage>),
    /// The listening socket.
    OnListener(ListenerFault),
}

/// What can be wrong with a listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenerFault {
    /// Connections are made by the kernel and taken by nobody.
    NeverAccepts,
    /// Connections are refused.
    Refuses,
}

/// A kind of toxic.
#[derive(Debug)]
pub struct Kind {
    /// Its name, `type` in JSON.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// What it can be on.
    pub fits: Fits,
    /// Its attributes.
    pub attributes: &'static [Attribute],
    /// What it works on.
    pub acts: Acts,
}

/// A toxic as it was asked for.
#[derive(Clone, Debug)]
pub struct Toxic {
    /// Its name, unique on its link.
    pub name: String,
    /// What it is.
    pub kind: &'static Kind,
    /// The direction that it is on.
    pub stream: Direction,
    /// The share of connections that it affects.
    pub toxicity: f64,
    /// Its attributes.
    pub attributes: Attributes,
}

impl Toxic {
    /// As the API tells it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let toxicity = if self.toxicity.fract() == 0.0 {
            json!(self.toxicity as u64)
        } else {
            json!(self.toxicity)
        };
        let mut object = Map::new();
        object.insert("attributes".into(), self.attributes.to_json().into());
        object.insert("name".into(), self.name.clone().into());
        object.insert("type".into(), self.kind.name.into());
        object.insert("stream".into(), self.stream.name().into());
        object.insert("toxicity".into(), toxicity);
        object.into()
    }
}
