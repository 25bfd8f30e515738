//! What may be planted: each defect, and the set of what was asked for.
//!
//! [`catalogue`] says what there is and which servers take it, `parse` reads it.

pub mod catalogue;
mod parse;
#[cfg(test)]
mod tests;

use std::time::Duration;

/// One planted defect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// A bad memory access at the Nth line or head of the process that cannot be decoded.
    SegfaultAfterDecodeErrors(u64),
    /// A bad memory access once the process has read and written this many bytes.
    SegfaultAfterBytes(u64),
    /// An abort at a line that holds these bytes.
    AbortOnLine(Vec<u8>),
    /// An abort as soon as a line has this many bytes, its newline apart.
    AbortOnLongLine(usize),
    /// A panic, exit code 101, at a line that is not UTF-8.
    PanicOnInvalidUtf8,
    /// The process ends with exit code 1 as it accepts the Nth connection.
    ExitAfter(u64),
    /// After this many messages the process neither reads nor answers ever again.
    HangAfter(u64),
    /// The process stops for a while, again and again.
    Freeze(Freeze),
    /// Each answer is delayed by this much.
    Slow(Duration),
    /// Each client is read from at this many bytes per second.
    SlowReader(u64),
    /// Each client is written to at this many bytes per second.
    SlowWriter(u64),
    /// The last answers of a client leave this long after its end.
    LateReply(Duration),
    /// Every Nth answer is wrong.
    WrongReply(WrongReply),
    /// Every Nth byte that is sent is another.
    CorruptByte(u64),
    /// Every Nth byte that should be sent is not.
    DropByte(u64),
    /// Every Nth byte that is sent is sent twice.
    DuplicateByte(u64),
    /// Every Nth answer goes to another client.
    WrongConnection(u64),
    /// Every Nth answer leaves from another port.
    WrongPort(u64),
    /// Everything is read and nothing is answered.
    Silence,
    /// Every message costs this many bytes of memory for ever.
    LeakMemory(u64),
    /// Every connection costs a descriptor for ever.
    LeakDescriptors,
    /// Every connection costs a thread for ever.
    LeakThreads,
    /// Every connection is closed as soon as it is accepted.
    AcceptThenClose,
    /// Connections are accepted and neither read from nor answered.
    AcceptThenSilence,
    /// After this many connections none is accepted; the port stays open.
    StopAccepting(u64),
    /// Each connection is reset when this many bytes were sent on it, or, by a sink,
    /// received.
    ResetAfter(u64),
    /// Every Nth connection is reset when half of its first answer was sent.
    ResetMidway(u64),
    /// The port is open for a while and closed for a while, with all connections reset.
    Flap(Flap),
    /// The management port answers nothing.
    SilentHealth,
    /// The management port says that the server is down.
    HealthDown,
}

/// When the process stands still: for `lasts`, once in every `period`, the first time
/// one period after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// How long it stands still.
    pub lasts: Duration,
    /// From the start of one freeze to the start of the next.
    pub period: Duration,
}

impl Freeze {
    /// How much longer the process stands still, if it does `since_start`.
    #[must_use]
    pub fn remaining(self, since_start: Duration) -> Option<Duration> {
        if since_start < self.period {
            return None;
        }
        let into_period = remainder(since_start, self.period);
        self.lasts
            .checked_sub(into_period)
            .filter(|left| !left.is_zero())
    }

    /// How many freezes have begun.
    pub(crate) fn begun(self, since_start: Duration) -> u64 {
        u64::try_from(since_start.as_nanos() / self.period.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// When the port is open: for `up`, then closed for `down`, and so on from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flap {
    /// How long it is open.
    pub up: Duration,
    /// How long it is closed.
    pub down: Duration,
}

impl Flap {
    /// Whether the port is open `since_start`, and for how much longer that stays so.
    #[must_use]
    pub fn phase(self, since_start: Duration) -> (bool, Duration) {
        let into_period = remainder(since_start, self.up + self.down);
        match self.up.checked_sub(into_period) {
            Some(left) if !left.is_zero() => (true, left),
            _ => (false, self.up + self.down - into_period),
        }
    }
}

fn remainder(since_start: Duration, period: Duration) -> Duration {
    let nanos = since_start.as_nanos() % period.as_nanos();
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Every `every`th answer of the process is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongReply {
    /// One wrong answer in this many.
    pub every: u64,
    /// In which way; `None` takes turns.
    pub kind: Option<WrongKind>,
}

impl WrongReply {
    /// The kind of the wrong reply that is due at answer `number`: the named one, or the
    /// next in turn, starting where the seed says.
    pub(crate) fn due(self, number: u64, seed: u64) -> WrongKind {
        let turns = WrongKind::TURNS;
        let turn = (number / self.every - 1).wrapping_add(seed) % turns.len() as u64;
        self.kind
            .unwrap_or(turns[usize::try_from(turn).unwrap_or(0)])
    }
}

/// In which way an answer is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongKind {
    /// It changes places with the next one.
    Swapped,
    /// It is sent twice.
    Duplicated,
    /// One of its digits is another.
    Corrupted,
    /// It is the answer to an earlier request of the connection.
    Stale,
    /// It is not sent.
    Dropped,
}

impl WrongKind {
    /// The kinds that take turns when none is named: those that send an answer for
    /// every request.
    pub const TURNS: [Self; 4] = [
        Self::Swapped,
        Self::Duplicated,
        Self::Corrupted,
        Self::Stale,
    ];
}

/// The set of planted defects; the last of two of the same name counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defects {
    /// See [`Defect::SegfaultAfterDecodeErrors`].
    pub segfault_after_decode_errors: Option<u64>,
    /// See [`Defect::SegfaultAfterBytes`].
    pub segfault_after_bytes: Option<u64>,
    /// See [`Defect::AbortOnLine`].
    pub abort_on_line: Option<Vec<u8>>,
    /// See [`Defect::AbortOnLongLine`].
    pub abort_on_long_line: Option<usize>,
    /// See [`Defect::PanicOnInvalidUtf8`].
    pub panic_on_invalid_utf8: bool,
    /// See [`Defect::ExitAfter`].
    pub exit_after: Option<u64>,
    /// See [`Defect::HangAfter`].
    pub hang_after: Option<u64>,
    /// See [`Defect::Freeze`].
    pub freeze: Option<Freeze>,
    /// See [`Defect::Slow`].
    pub slow: Option<Duration>,
    /// See [`Defect::SlowReader`].
    pub slow_reader: Option<u64>,
    /// See [`Defect::SlowWriter`].
    pub slow_writer: Option<u64>,
    /// See [`Defect::LateReply`].
    pub late_reply: Option<Duration>,
    /// See [`Defect::WrongReply`].
    pub wrong_reply: Option<WrongReply>,
    /// See [`Defect::CorruptByte`].
    pub corrupt_byte: Option<u64>,
    /// See [`Defect::DropByte`].
    pub drop_byte: Option<u64>,
    /// See [`Defect::DuplicateByte`].
    pub duplicate_byte: Option<u64>,
    /// See [`Defect::WrongConnection`].
    pub wrong_connection: Option<u64>,
    /// See [`Defect::WrongPort`].
    pub wrong_port: Option<u64>,
    /// See [`Defect::Silence`].
    pub silence: bool,
    /// See [`Defect::LeakMemory`].
    pub leak_memory: Option<u64>,
    /// See [`Defect::LeakDescriptors`].
    pub leak_descriptors: bool,
    /// See [`Defect::LeakThreads`].
    pub leak_threads: bool,
    /// See [`Defect::AcceptThenClose`].
    pub accept_then_close: bool,
    /// See [`Defect::AcceptThenSilence`].
    pub accept_then_silence: bool,
    /// See [`Defect::StopAccepting`].
    pub stop_accepting: Option<u64>,
    /// See [`Defect::ResetAfter`].
    pub reset_after: Option<u64>,
    /// See [`Defect::ResetMidway`].
    pub reset_midway: Option<u64>,
    /// See [`Defect::Flap`].
    pub flap: Option<Flap>,
    /// See [`Defect::SilentHealth`].
    pub silent_health: bool,
    /// See [`Defect::HealthDown`].
    pub health_down: bool,
}

impl Defects {
    /// Collects a list.
    #[must_use]
    pub fn new(list: &[Defect]) -> Self {
        let mut all = Self::default();
        for defect in list.iter().cloned() {
            all.plant(defect);
        }
        all
    }

    /// Adds one; it takes the place of another of the same name.
    pub(crate) fn plant(&mut self, defect: Defect) {
        match defect {
            Defect::SegfaultAfterDecodeErrors(n) => self.segfault_after_decode_errors = Some(n),
            Defect::SegfaultAfterBytes(n) => self.segfault_after_bytes = Some(n),
            Defect::AbortOnLine(bytes) => self.abort_on_line = Some(bytes),
            Defect::AbortOnLongLine(bytes) => self.abort_on_long_line = Some(bytes),
            Defect::PanicOnInvalidUtf8 => self.panic_on_invalid_utf8 = true,
            Defect::ExitAfter(n) => self.exit_after = Some(n),
            Defect::HangAfter(n) => self.hang_after = Some(n),
            Defect::Freeze(freeze) => self.freeze = Some(freeze),
            Defect::Slow(delay) => self.slow = Some(delay),
            Defect::SlowReader(rate) => self.slow_reader = Some(rate),
            Defect::SlowWriter(rate) => self.slow_writer = Some(rate),
            Defect::LateReply(delay) => self.late_reply = Some(delay),
            Defect::WrongReply(wrong) => self.wrong_reply = Some(wrong),
            Defect::CorruptByte(n) => self.corrupt_byte = Some(n),
            Defect::DropByte(n) => self.drop_byte = Some(n),
            Defect::DuplicateByte(n) => self.duplicate_byte = Some(n),
            Defect::WrongConnection(n) => self.wrong_connection = Some(n),
            Defect::WrongPort(n) => self.wrong_port = Some(n),
            Defect::Silence => self.silence = true,
            Defect::LeakMemory(bytes) => self.leak_memory = Some(bytes),
            Defect::LeakDescriptors => self.leak_descriptors = true,
            Defect::LeakThreads => self.leak_threads = true,
            Defect::AcceptThenClose => self.accept_then_close = true,
            Defect::AcceptThenSilence => self.accept_then_silence = true,
            Defect::StopAccepting(n) => self.stop_accepting = Some(n),
            Defect::ResetAfter(n) => self.reset_after = Some(n),
            Defect::ResetMidway(n) => self.reset_midway = Some(n),
            Defect::Flap(flap) => self.flap = Some(flap),
            Defect::SilentHealth => self.silent_health = true,
            Defect::HealthDown => self.health_down = true,
        }
    }

    /// Whether each line has to be looked at before it is decoded.
    pub(crate) fn inspect_lines(&self) -> bool {
        self.abort_on_line.is_some()
            || self.abort_on_long_line.is_some()
            || self.panic_on_invalid_utf8
    }

    /// Whether what is sent is not what was answered.
    pub(crate) fn change_bytes(&self) -> bool {
        let each = [self.corrupt_byte, self.drop_byte, self.duplicate_byte];
        each.into_iter().any(|every| every.is_some())
    }
}
