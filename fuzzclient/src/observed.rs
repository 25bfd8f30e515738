//! What becomes of the sessions, and whether the target is still there.

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::record::{self, SessionRecord};
use crate::session::End;
use crate::watch::Found;

/// Sessions that are kept in the record: the last ones, since the first of a long run
/// are not those that the target died of.
const KEPT_SESSIONS: usize = 1000;

/// Findings that are kept in the record: a target that freezes every second for hours says
/// nothing new.
const KEPT_FINDINGS: usize = 100;

/// After a session that was cut short, the target may be dying and its listener still
/// there: it is looked at again and again for so long.
const LAST_LOOKS: Duration = Duration::from_millis(200);

/// Between two of these looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The kind of observation that a connection was established.
pub(crate) const CONNECTED: &str = "connected";

/// The kind of observation that a session's target did nothing for too long.
pub(crate) const HUNG: &str = "hung";

/// Something that was found, and when.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) found: Found,
    pub(crate) mono_ns: u64,
}

/// Collects what is seen of the target.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// How often, by kind.
    pub(crate) counts: BTreeMap<String, u64>,
    /// What was found, and how much had been sent by then.
    pub(crate) findings: Vec<record::Finding>,
    /// The finding that ended the run.
    pub(crate) ended_by: Option<&'static str>,
    sessions: VecDeque<SessionRecord>,
    cut_short: bool,
    /// It refuses connections after having taken some.
    pub(crate) target_gone: bool,
}

impl Observed {
    /// Counts something.
    pub(crate) fn count(&mut self, kind: &str) {
        *self.counts.entry(kind.to_owned()).or_default() += 1;
    }

    /// Whether the target took any connection.
    pub(crate) fn was_connected(&self) -> bool {
        self.counts.contains_key(CONNECTED)
    }

    /// A session has ended.
    pub(crate) fn end(&mut self, session: SessionRecord, end: End) {
        self.count(end.kind());
        self.cut_short |= end.is_cut_short();
        self.target_gone |= end == End::Refused && self.was_connected();
        if self.sessions.len() == KEPT_SESSIONS {
            self.sessions.pop_front();
        }
        self.sessions.push_back(session);
    }

    /// Something was found when so much was sent and these connections were open.
    pub(crate) fn find(&mut self, finding: Finding, bytes_sent: u64, open: Vec<u64>) {
        let Finding { found, mono_ns } = finding;
        self.target_gone |= found.gone;
        if found.ends_the_run && self.ended_by.is_none() {
            self.ended_by = Some(found.what);
        }
        if self.findings.len() < KEPT_FINDINGS || found.ends_the_run {
            self.findings.push(record::Finding {
                what: found.what.to_owned(),
                detail: found.detail,
                mono_ns,
                bytes_sent,
                open_connections: open,
            });
        }
    }

    /// Looks whether the target still takes connections.
    pub(crate) fn look_once_more(&mut self, target: SocketAddr, patience: Duration) {
        if self.target_gone || !self.was_connected() {
            return;
        }
        let started = Instant::now();
        loop {
            if let Err(error) = TcpStream::connect_timeout(&target, patience) {
                let end = End::of_connect(&error);
                self.count(end.kind());
                self.target_gone = end == End::Refused;
                return;
            }
            if !self.cut_short || started.elapsed() >= LAST_LOOKS {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The sessions that are kept, in the order of their numbers.
    pub(crate) fn sessions(&self) -> Vec<SessionRecord> {
        let mut sessions: Vec<_> = self.sessions.iter().cloned().collect();
        sessions.sort_by_key(|session| session.connection);
        sessions
    }
}
