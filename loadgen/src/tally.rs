//! Counting what happened to requests.

use std::collections::BTreeMap;

use rustix::io::Errno;

use crate::record::Counts;

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $kind:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$what])* $kind,)* }

        impl $name {
            /// All of them, in the order of their counters.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The name in records.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $text,)* }
            }
        }
    };
}

kinds! {
    /// Why a request failed.
    Failure {
        /// Later requests of its connection were answered, and it was not.
        Lost = "lost",
        /// Its answer came after that of a later request.
        Reordered = "reordered",
        /// In its answer's place came the answer to another connection's request.
        Misrouted = "misrouted",
        /// In its answer's place came something that answers nothing.
        Corrupted = "corrupted",
        /// The server said that it could not decode it.
        ErrDecode = "err_decode",
        /// Its connection was reset before the answer.
        Reset = "reset",
        /// Its connection was closed before the answer.
        Closed = "closed",
    }
}

kinds! {
    /// Answers that belong to no open request.
    Extra {
        /// The same answer again.
        Duplicated = "duplicated",
        /// An answer so late that its request had been counted as lost.
        Late = "late",
        /// Nothing that was asked for.
        Unexpected = "unexpected",
        /// The answer to another connection's request, beside the right one.
        Misrouted = "misrouted",
        /// UDP: something damaged beside the right answer, or so that it cannot be told
        /// what it answers.
        Corrupted = "corrupted",
    }
}

kinds! {
    /// Why a connection could not be opened.
    ConnectFailure {
        /// Nobody listens there.
        Refused = "refused",
        /// No answer in time.
        Timeout = "timeout",
        /// Reset while it was being opened.
        Reset = "reset",
        /// No local port is free.
        NoPort = "no_port",
        /// No file descriptor is free.
        NoDescriptor = "no_descriptor",
        /// No agreement on TLS: an untrusted certificate, a refusal, no TLS at all.
        Tls = "tls",
        /// No way there.
        Unreachable = "unreachable",
        /// Anything else.
        Other = "other",
    }
}

kinds! {
    /// How a connection that was open failed.
    Breakage {
        /// Reset with requests open, before a byte came.
        ResetBeforeByte = "reset_before_byte",
        /// Reset with requests open, after bytes had come.
        Reset = "reset",
        /// Ended by the target with requests open, before a byte came.
        ClosedBeforeByte = "closed_before_byte",
        /// Ended by the target with requests open, after bytes had come.
        ClosedEarly = "closed_early",
        /// What came could not be followed any more.
        Spoilt = "spoilt",
        /// All was answered and our side ended, and the target did not end its side.
        NoEnd = "no_end",
    }
}

kinds! {
    /// Why a message that nobody answers was not sent.
    NotSent {
        /// UDP: an earlier datagram had come back, because nobody listens there.
        Refused = "refused",
        /// The system had no memory for it.
        NoBuffer = "no_buffer",
        /// The socket was full.
        WouldBlock = "would_block",
        /// The datagram was too long for the way there.
        TooLong = "too_long",
        /// No way there.
        Unreachable = "unreachable",
        /// Anything else.
        Other = "other",
        /// TCP: no connection was open.
        NoConnection = "no_connection",
        /// TCP: the connection ended with it unwritten.
        Broken = "broken",
        /// TCP: too much waited before it, or it still waited at the end.
        NoRoom = "no_room",
    }
}

impl NotSent {
    /// What an error of sending a datagram counts as.
    #[must_use]
    pub fn of(errno: Errno) -> Self {
        match errno {
            Errno::CONNREFUSED => Self::Refused,
            Errno::NOBUFS | Errno::NOMEM => Self::NoBuffer,
            Errno::AGAIN => Self::WouldBlock,
            Errno::MSGSIZE => Self::TooLong,
            Errno::NETUNREACH | Errno::HOSTUNREACH => Self::Unreachable,
            _ => Self::Other,
        }
    }

    /// Whether the target, and not this machine, is why.
    #[must_use]
    pub fn is_the_targets(self) -> bool {
        match self {
            Self::Refused | Self::Unreachable | Self::NoConnection | Self::Broken => true,
            Self::NoBuffer | Self::WouldBlock | Self::TooLong | Self::Other | Self::NoRoom => false,
        }
    }
}

/// Messages that were not sent, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsent([u64; NotSent::ALL.len()]);

impl Unsent {
    /// Counts messages.
    pub fn add(&mut self, kind: NotSent, messages: u64) {
        self.0[kind as usize] += messages;
    }

    /// Adds another worker's.
    pub fn add_all(&mut self, other: &Self) {
        add_all(&mut self.0, &other.0);
    }

    /// Those of this kind.
    #[must_use]
    pub fn of(&self, kind: NotSent) -> u64 {
        self.0[kind as usize]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// As the record has them; kinds that did not occur are absent.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<String, u64> {
        let kinds = NotSent::ALL.iter().map(|kind| (kind, self.of(*kind)));
        kinds
            .filter(|(_, messages)| *messages > 0)
            .map(|(kind, messages)| (kind.name().to_owned(), messages))
            .collect()
    }
}

const FAILURES: usize = Failure::ALL.len();
const EXTRAS: usize = Extra::ALL.len();
const CONNECT_FAILURES: usize = ConnectFailure::ALL.len();
const BREAKAGES: usize = Breakage::ALL.len();

/// Counters of one worker and one phase of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests written.
    pub sent: u64,
    /// Answered rightly with ACK.
    pub acked: u64,
    /// Answered rightly with NAK.
    pub naked: u64,
    /// Without an answer at the end.
    pub unanswered: u64,
    /// Due, but never written.
    pub never_written: u64,
    failed: [u64; FAILURES],
    extra: [u64; EXTRAS],
}

impl Tally {
    /// Counts a failed request.
    pub fn fail(&mut self, kind: Failure) {
        self.failed[kind as usize] += 1;
    }

    /// Counts an answer that belongs to no open request.
    pub fn extra(&mut self, kind: Extra) {
        self.extra[kind as usize] += 1;
    }

    /// Requests that failed, of any kind.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Requests failed in this way.
    #[must_use]
    pub fn failed(&self, kind: Failure) -> u64 {
        self.failed[kind as usize]
    }

    /// Answers of this kind that belonged to no open request.
    #[must_use]
    pub fn extra_of(&self, kind: Extra) -> u64 {
        self.extra[kind as usize]
    }

    /// Right answers.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.acked + self.naked
    }

    /// Adds another worker's counters.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.acked += other.acked;
        self.naked += other.naked;
        self.unanswered += other.unanswered;
        self.never_written += other.never_written;
        add_all(&mut self.failed, &other.failed);
        add_all(&mut self.extra, &other.extra);
    }
}

/// Counters of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectTally {
    /// Connections opened.
    pub opened: u64,
    /// Connections that ended as planned.
    pub completed: u64,
    /// Connections that the target ended while no request was open.
    pub closed_idle: u64,
    failed: [u64; CONNECT_FAILURES],
    broken: [u64; BREAKAGES],
}

impl ConnectTally {
    /// Counts a connection that could not be opened.
    pub fn fail(&mut self, kind: ConnectFailure) {
        self.failed[kind as usize] += 1;
    }

    /// Counts a connection that was open and failed.
    pub fn breaks(&mut self, kind: Breakage) {
        self.broken[kind as usize] += 1;
    }

    /// Connections that were open and failed in this way.
    #[must_use]
    pub fn broken(&self, kind: Breakage) -> u64 {
        self.broken[kind as usize]
    }

    /// Connections that were open and failed.
    #[must_use]
    pub fn broken_total(&self) -> u64 {
        self.broken.iter().sum()
    }

    /// Connections that could not be opened.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Adds another worker's counters.
    pub fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.completed += other.completed;
        self.closed_idle += other.closed_idle;
        add_all(&mut self.failed, &other.failed);
        add_all(&mut self.broken, &other.broken);
    }
}

/// The counters of a worker: what was due before measuring began, and after.
#[derive(Clone, Copy, Debug, Default)]
pub struct Books {
    /// Requests due from here on are measured. Monotonic nanoseconds.
    pub measure_from: u64,
    /// Requests of the warm-up.
    pub warmup: Tally,
    /// Requests that count.
    pub measured: Tally,
}

impl Books {
    /// Requests written, whether they count or not.
    #[inline]
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.warmup.sent + self.measured.sent
    }

    /// The counters of a request that was due at `due`.
    #[inline]
    pub fn of(&mut self, due: u64) -> &mut Tally {
        if due >= self.measure_from {
            &mut self.measured
        } else {
            &mut self.warmup
        }
    }
}

/// The counters as the record has them; kinds that did not occur are absent.
#[must_use]
pub fn counts(tally: &Tally, connects: &ConnectTally) -> Counts {
    let named = |names: &[&'static str], values: &[u64]| -> BTreeMap<String, u64> {
        let pairs = names.iter().zip(values).filter(|(_, value)| **value > 0);
        pairs
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect()
    };
    let failures: Vec<_> = Failure::ALL.iter().map(|kind| kind.name()).collect();
    let extras: Vec<_> = Extra::ALL.iter().map(|kind| kind.name()).collect();
    let connect: Vec<_> = ConnectFailure::ALL.iter().map(|kind| kind.name()).collect();
    let broken: Vec<_> = Breakage::ALL.iter().map(|kind| kind.name()).collect();
    Counts {
        sent: tally.sent,
        acked: tally.acked,
        naked: tally.naked,
        failed: named(&failures, &tally.failed),
        unanswered: tally.unanswered,
        never_written: tally.never_written,
        extra_answers: named(&extras, &tally.extra),
        one_way: 0,
        connections: connects.opened,
        connect_failed: named(&connect, &connects.failed),
        connections_completed: connects.completed,
        connections_closed_idle: connects.closed_idle,
        connections_broken: named(&broken, &connects.broken),
        idle: None,
    }
}

fn add_all(to: &mut [u64], from: &[u64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
