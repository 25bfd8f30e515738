//! Which server it is: what is said on a connection.

use std::fmt;

/// What a server does with the bytes of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Answers each Foo request with a digest.
    #[default]
    Foo,
    /// Sends every byte back, in order.
    Echo,
    /// Takes everything and counts it.
    Sink {
        /// Whether the end of the client is answered with the count of what it sent.
        acknowledge: bool,
    },
    /// Sends the stream of [`pattern`](crate::pattern).
    Source {
        /// How many bytes of it to each client; `None` until the client ends.
        bytes: Option<u64>,
    },
    /// Answers HTTP/1.1 requests with as many bytes as they ask for.
    Http,
}

impl Mode {
    /// The name of each mode, as the command line takes it.
    pub const NAMES: [&str; 5] = ["foo", "echo", "sink", "source", "http"];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Foo => "foo",
            Self::Echo => "echo",
            Self::Sink { .. } => "sink",
            Self::Source { .. } => "source",
            Self::Http => "http",
        }
    }

    /// Whether it sends more than a few bytes to a client.
    pub(crate) fn answers(self) -> bool {
        !matches!(self, Self::Sink { .. })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
