//! What a connection does with bytes: one conversation for each mode.
//!
//! A conversation takes bytes that were read and appends bytes to be sent; it knows no
//! socket, no time and no defect but those of the messages themselves.

mod head;
mod http;
mod lines;
mod plain;
mod replies;
mod source;

use std::cmp::Ordering;
use std::net::SocketAddr;

use crate::mode::Mode;
use crate::process::Process;
use crate::record::UpstreamRecord;

/// What answering needs from the worker.
pub(crate) struct Context<'a> {
    /// What all workers share.
    pub(crate) process: &'a Process,
    /// This worker's counts.
    pub(crate) counts: &'a mut UpstreamRecord,
}

impl Context<'_> {
    /// Takes a message (a line, a head, what one read brought, a piece of a stream) into
    /// account, and compares its number with that of the last one before the process
    /// hangs: `Equal` is still answered, `Greater` is not.
    fn take_message(&mut self) -> Ordering {
        let order = self.process.count_message();
        if order != Ordering::Greater
            && let Some(bytes) = self.process.config.defects.leak_memory
        {
            self.process.leak_memory(bytes);
            self.counts.hits.leak_memory += 1;
        }
        order
    }
}

/// What there is to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    /// What was read and not yet used.
    pub(crate) bytes: &'a [u8],
    /// Nothing comes after it: the client has ended its side.
    pub(crate) ended: bool,
}

/// Why answering stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// More has to be read first.
    NeedsInput,
    /// There may be more to say, but there is no room for it.
    NoRoom,
    /// Nothing more is answered: our side ends once the answers have left.
    Done,
    /// The same, but nothing that the client still sends is waited for.
    Cut,
    /// The process is to hang once the answers have left.
    Hang,
}

/// The conversation on one connection.
#[derive(Debug)]
pub(crate) enum Talk {
    Foo(lines::Lines),
    Echo,
    Sink(plain::Sink),
    Source(source::Source),
    Http(Box<http::Http>),
}

impl Talk {
    pub(crate) fn new(mode: Mode, peer: Option<SocketAddr>) -> Self {
        match mode {
            Mode::Foo => Self::Foo(lines::Lines::new(peer)),
            Mode::Echo => Self::Echo,
            Mode::Sink { acknowledge } => Self::Sink(plain::Sink::new(acknowledge)),
            Mode::Source { bytes } => Self::Source(source::Source::new(bytes)),
            Mode::Http => Self::Http(Box::default()),
        }
    }

    /// Whether everything that is read is the answer to itself, so that no copy is needed.
    pub(crate) fn is_mirror(&self) -> bool {
        matches!(self, Self::Echo)
    }

    /// Whether it has something to say before anything is read.
    pub(crate) fn begins(&self) -> bool {
        matches!(self, Self::Source(_))
    }

    /// Answers `input` until about `room` bytes are appended to `out`, and tells how many
    /// bytes are done with. Called again with an ended input until it is done.
    pub(crate) fn answer(
        &mut self,
        input: Input<'_>,
        out: &mut Vec<u8>,
        room: usize,
        context: &mut Context<'_>,
    ) -> (usize, Stopped) {
        let (done, stopped) = match self {
            Self::Foo(lines) => lines.answer(input.bytes, out, room, context),
            Self::Echo => plain::echo(input.bytes, out, room, context),
            Self::Sink(sink) => sink.take(input, out, context),
            Self::Source(source) => source.go_on(input, out, room, context),
            Self::Http(http) => http.answer(input, out, room, context),
        };
        if stopped != Stopped::NeedsInput || !input.ended {
            return (done, stopped);
        }
        let stopped = match self {
            Self::Foo(lines) => lines.answer_tail(&input.bytes[done..], out, context),
            _ => Stopped::Done,
        };
        (input.bytes.len(), stopped)
    }
}
