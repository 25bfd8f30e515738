//! What is to be done, and what came of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bundle::{Asked, Transport};
use fuzzclient::generate::{Corpus, Protocol, Strategy};
use fuzzclient::probe::Question;
use service::signals::Stop;

use crate::crash::evidence::Reported;
use crate::crash::target::{Extras, Named};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is attacked.
    pub named: Named,
    /// What is added to it.
    pub extras: Extras,
    /// Its process, if it runs already.
    pub pid: Option<u32>,
    /// Whose messages are the model; none: that is found out.
    pub protocol: Option<Protocol>,
    /// How they travel.
    pub transport: Transport,
    /// What is made of them, in turns.
    pub strategies: Vec<Strategy>,
    /// Inputs that come first.
    pub corpus: Option<(PathBuf, Arc<Corpus>)>,
    /// Of this seed.
    pub seed: u64,
    /// Connections at the same time, if that is to be so for all strategies.
    pub connections: Option<u64>,
    /// Bytes or datagrams per second.
    pub rate: Option<f64>,
    /// How long, in all.
    pub duration: Duration,
    /// How many causes are looked for.
    pub findings: usize,
    /// How often each is tried again.
    pub repeats: u32,
    /// What the target is asked, if that is not the usual.
    pub question: Option<Question>,
    /// An answer that takes longer is none.
    pub hang_after: Duration,
    /// An answer that takes longer is slow.
    pub slow_after: Duration,
    /// Where bundles go.
    pub bundles: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The findings.
    pub found: Vec<Reported>,
    /// What was done.
    pub sums: Sums,
    /// Who ended it early.
    pub stopped: Option<Stop>,
    /// Why it ended early, if for a reason of its own.
    pub problem: Option<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How long it took.
    pub elapsed: Duration,
    /// When the first finding was made.
    pub found_after: Option<Duration>,
    /// Bytes sent.
    pub bytes: u64,
    /// Connections, or sockets of datagrams.
    pub connections: u64,
    /// Starts of the target.
    pub lives: u64,
    /// Probes made.
    pub probes: u64,
    /// The longest that an answer took.
    pub slowest: Duration,
}

/// Something that happens, for whoever shows it.
#[derive(Debug)]
pub enum Progress<'a> {
    /// It was found out how the target is to be talked to.
    Aimed(Protocol, &'a Asked),
    /// A turn begins.
    Turn(Strategy, &'a Sums),
    /// Something is kept; it is waited and loaded again to see whether it is a leak.
    Suspicious,
    /// Something is wrong; new to this run or not.
    Found(&'a Reported, bool),
    /// It was tried again.
    Repeated(&'a Reported),
}
