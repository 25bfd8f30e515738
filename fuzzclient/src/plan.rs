//! What to send to whom, and for how long.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::generate::{ByteStream, Datagrams, Pieces, Recipe, Script, Source, Streamed, Whole};
use crate::probe::{Outcome, Probe};
use crate::recording::{Memory, Recorded, Recording};

/// Bytes of a datagram that is cut out of a source at most.
const DATAGRAM_BYTES: usize = 1432;

/// Where the bytes come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// They are made.
    Made(Recipe),
    /// They are somebody else's.
    Source(Source),
    /// They were recorded.
    Replay(Arc<Vec<Recorded>>),
}

/// Where what is sent is kept.
#[derive(Clone, Debug)]
pub enum Keep {
    /// A file, or a directory if it ends with a slash.
    Path(PathBuf),
    /// Memory.
    Memory(Memory),
}

impl Keep {
    /// Begins to keep, as [`Recording::create`] does.
    pub(crate) fn begin(&self, raw: bool, last: Option<usize>) -> io::Result<Recording> {
        match self {
            Self::Path(path) => Recording::create(path, raw, last),
            Self::Memory(memory) => Ok(Recording::in_memory(memory.clone())),
        }
    }
}

/// What to send to whom, and for how long.
#[derive(Debug)]
pub struct Plan {
    /// Where the target may be, best first.
    pub targets: Vec<SocketAddr>,
    /// Where the bytes come from.
    pub content: Content,
    /// What the bytes depend on, for the record.
    pub seed: u64,
    /// Sessions at the same time.
    pub connections: u64,
    /// The number of the first session.
    pub first_connection: u64,
    /// Bytes of all sessions together.
    pub bytes: Option<u64>,
    /// Bytes of each session, if they follow each other.
    pub session_bytes: u64,
    /// How long bytes are sent.
    pub duration: Duration,
    /// Bytes, or datagrams, per second of all sessions together.
    pub rate: Option<f64>,
    /// Whether each session is followed by another.
    pub follow: bool,
    /// How it is told whether the target still lives, and the run ended when it does not.
    pub probe: Option<Probe>,
    /// How long the target may do nothing.
    pub hang_after: Duration,
    /// Where what is sent is kept.
    pub recording: Option<Keep>,
    /// How many of the last connections are kept there; `None`: all.
    pub keep: Option<usize>,
    /// How long to wait with the next session when the target cut the last one short: one that
    /// closes at once is not to be drowned in connections instead of garbage.
    pub pause: Duration,
    /// Whether to look at the end if it still takes connections, if nobody else does.
    pub last_look: bool,
    /// Every flag, for the record.
    pub config: BTreeMap<String, serde_json::Value>,
}

/// A session that is to be opened.
#[derive(Debug)]
pub(crate) struct Opening {
    /// Its number.
    pub(crate) number: u64,
    /// How it is conducted.
    pub(crate) script: Script,
}

impl Plan {
    /// The session that is opened as the `index`th, from 0. `None`: there are no more.
    pub(crate) fn opening(&self, index: u64) -> Option<Opening> {
        if !self.follow && index >= self.connections {
            return None;
        }
        let number = self.first_connection.saturating_add(index);
        let own_limit = self.quota(index);
        let (number, script) = match &self.content {
            Content::Made(recipe) => (number, recipe.script(number)),
            Content::Source(_) => (number, Script::default()),
            Content::Replay(connections) => {
                let recorded = connections.get(usize::try_from(index).ok()?)?;
                let ending = recorded.ending.unwrap_or_default();
                (
                    recorded.number,
                    Script {
                        ending,
                        ..Script::default()
                    },
                )
            }
        };
        let limits = [script.bytes, own_limit];
        let bytes = limits.into_iter().flatten().min();
        Some(Opening {
            number,
            script: Script { bytes, ..script },
        })
    }

    /// The bytes of the session that is opened as the `index`th.
    ///
    /// # Errors
    /// That the source cannot be opened.
    pub(crate) fn stream(&self, index: u64, number: u64) -> io::Result<ByteStream> {
        Ok(ByteStream::new(match &self.content {
            Content::Made(recipe) => recipe.stream(number),
            Content::Source(source) => source.generator()?,
            Content::Replay(all) => Box::new(Whole::new(recorded(all, index).bytes())),
        }))
    }

    /// The datagrams of the socket that is opened as the `index`th.
    ///
    /// # Errors
    /// That the source cannot be opened.
    pub(crate) fn datagrams(&self, index: u64, number: u64) -> io::Result<Box<dyn Datagrams>> {
        Ok(match &self.content {
            Content::Made(recipe) => recipe.datagrams(number),
            Content::Source(source) => {
                let stream = ByteStream::new(source.generator()?);
                Box::new(Streamed::new(stream, DATAGRAM_BYTES, "source"))
            }
            Content::Replay(all) => {
                Box::new(Pieces::new(recorded(all, index).pieces.clone().into()))
            }
        })
    }

    /// Asks the target for a valid answer before anything else is sent, and settles on the
    /// first of its addresses that gives one. False if there is somebody and none does: then
    /// nothing could be told of what garbage does to it. Where nobody listens is told later.
    pub(crate) fn find_the_living(&mut self) -> bool {
        let Some(probe) = &mut self.probe else {
            return true;
        };
        let mut somebody = false;
        for target in &self.targets {
            match probe.learn(*target) {
                Outcome::Answered(..) => {
                    self.targets = vec![*target];
                    return true;
                }
                Outcome::Refused | Outcome::Failed(_) => {}
                _ => somebody = true,
            }
        }
        !somebody
    }

    /// Whether all sessions take from one source, which only one can end.
    pub(crate) fn feed(&self) -> Option<&crate::generate::Feed> {
        match &self.content {
            Content::Source(Source::Stream(feed)) => Some(feed),
            _ => None,
        }
    }

    /// How many bytes a session may send because of the run's limits. The limit of a run is
    /// divided evenly, so that how much each session sends depends on nothing but the plan.
    fn quota(&self, index: u64) -> Option<u64> {
        if matches!(self.content, Content::Replay(_)) {
            return None;
        }
        if self.follow {
            return Some(self.session_bytes);
        }
        let bytes = self.bytes?;
        let one_more = index < bytes % self.connections;
        Some(bytes / self.connections + u64::from(one_more))
    }
}

/// The connection that is replayed as the `index`th.
fn recorded(all: &[Recorded], index: u64) -> &Recorded {
    let index = usize::try_from(index).expect("no more are opened than there are");
    &all[index]
}
