//! Lines in, answers out: everything between a connection's two buffers.

use std::cmp::Ordering;
use std::net::SocketAddr;

use protocol::foo::{Answer, ERROR_ANSWER, MAX_LINE_BYTES, Malformed, Message};

use super::replies::{Replies, is_ack};
use super::{Context, Stopped};

/// Answers a client's lines.
#[derive(Debug)]
pub(crate) struct Lines {
    peer: Option<SocketAddr>,
    replies: Replies,
    /// Bytes at the start of the buffer that are known to hold no newline, so that a
    /// long line is not searched again with each piece of it.
    without_newline: usize,
}

impl Lines {
    pub(crate) fn new(peer: Option<SocketAddr>) -> Self {
        Self {
            peer,
            replies: Replies::default(),
            without_newline: 0,
        }
    }

    /// Answers the lines of `inbound` until `room` bytes of answers are appended to
    /// `out`, and tells how many bytes are done with.
    pub(crate) fn answer(
        &mut self,
        inbound: &[u8],
        out: &mut Vec<u8>,
        room: usize,
        context: &mut Context<'_>,
    ) -> (usize, Stopped) {
        let known = std::mem::take(&mut self.without_newline);
        if known > 0 && memchr::memchr(b'\n', &inbound[known..]).is_none() {
            return (0, self.partial(inbound, context));
        }
        let limit = out.len() + room;
        let mut at = 0;
        while out.len() < limit {
            let Some((message, len)) = Message::next(&inbound[at..]) else {
                return (at, self.partial(&inbound[at..], context));
            };
            let line = &inbound[at..at + len];
            at += len;
            if let Some(stopped) = self.answer_line(line, message, &inbound[at..], out, context) {
                return (at, stopped);
            }
        }
        (at, Stopped::NoRoom)
    }

    /// Answers what the client left without a newline when it ended its side: that is
    /// a line as well.
    pub(crate) fn answer_tail(
        &mut self,
        tail: &[u8],
        out: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Stopped {
        if tail.is_empty() {
            return Stopped::Done;
        }
        let line = [tail, b"\n"].concat();
        let Some((message, _)) = Message::next(&line) else {
            return Stopped::Done;
        };
        self.answer_line(&line, message, &[], out, context)
            .unwrap_or(Stopped::Done)
    }

    fn partial(&mut self, rest: &[u8], context: &mut Context<'_>) -> Stopped {
        context.process.inspect_length(rest);
        self.without_newline = rest.len();
        if rest.len() > MAX_LINE_BYTES {
            context.counts.too_long += 1;
            Stopped::Cut
        } else {
            Stopped::NeedsInput
        }
    }

    /// Answers one line; `rest` is what is known to come after it.
    #[inline]
    fn answer_line(
        &mut self,
        line: &[u8],
        message: Result<Message<'_>, Malformed>,
        rest: &[u8],
        out: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Option<Stopped> {
        let Context { process, counts } = context;
        let defects = &process.config.defects;
        if defects.inspect_lines() {
            process.inspect_line(line);
        }
        let message = match message {
            Ok(message) => message,
            Err(Malformed::TooLong) => {
                counts.too_long += 1;
                return Some(Stopped::Cut);
            }
            Err(reason) => {
                counts.decode_errors += 1;
                process.decode_error(self.peer, reason, line);
                out.extend_from_slice(ERROR_ANSWER);
                self.replies.release(out);
                return None;
            }
        };
        let of_hang = context.take_message();
        if of_hang == Ordering::Greater {
            return Some(Stopped::Hang);
        }
        let Context { process, counts } = context;
        counts.requests += 1;
        let answer = Answer::to(message.seq, message.data);
        if is_ack(&answer) {
            counts.acks += 1;
        } else {
            counts.naks += 1;
        }
        match defects.wrong_reply {
            None => answer.encode(out),
            Some(wrong) => {
                let another_follows = memchr::memchr(b'\n', rest).is_some();
                let changed = self
                    .replies
                    .put(answer, wrong, another_follows, process, out);
                counts.wrong_replies += u64::from(changed);
            }
        }
        (of_hang == Ordering::Equal).then_some(Stopped::Hang)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::process::Process;
    use crate::record::UpstreamRecord;
    use crate::server::Config;

    fn quiet() -> Process {
        Process::new(Config {
            log_decode_errors: false,
            ..Config::default()
        })
    }

    /// What is answered to `input` that arrives in pieces of `step` bytes.
    fn answers(input: &[u8], step: usize, room: usize) -> (Vec<u8>, UpstreamRecord, bool) {
        let process = quiet();
        let mut counts = UpstreamRecord::default();
        let mut context = Context {
            process: &process,
            counts: &mut counts,
        };
        let mut lines = Lines::new(None);
        let (mut buffer, mut out) = (Vec::new(), Vec::new());
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                let (done, stopped) = lines.answer(&buffer, &mut out, room, &mut context);
                buffer.drain(..done);
                match stopped {
                    Stopped::NeedsInput => break,
                    Stopped::NoRoom => {}
                    Stopped::Done | Stopped::Cut | Stopped::Hang => return (out, counts, true),
                }
            }
        }
        let stopped = lines.answer_tail(&buffer, &mut out, &mut context);
        (out, counts, stopped == Stopped::Cut)
    }

    #[test]
    fn a_line_of_64_kib_is_too_long_with_its_newline_or_without() {
        for (bytes, too_long) in [(65_535, false), (65_536, true)] {
            for end in ["\n", ""] {
                let mut input = b"REQ 1 a\nREQ 2 ".to_vec();
                input.resize(8 + bytes, b'x');
                input.extend_from_slice(end.as_bytes());
                for step in [1000, input.len()] {
                    let (out, counts, closed) = answers(&input, step, usize::MAX / 2);
                    assert_eq!(closed, too_long, "{bytes} bytes and {end:?} by {step}");
                    assert_eq!(counts.requests, if too_long { 1 } else { 2 });
                    assert_eq!(
                        out.iter().filter(|&&b| b == b'\n').count() as u64,
                        counts.requests
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn answers_depend_neither_on_the_pieces_nor_on_the_room(
            words in proptest::collection::vec(
                prop_oneof![Just("REQ 1 abc\n"), Just("REQ"), Just(" "), Just("7"), Just("\n"),
                    Just("ACK 2 x\r\n"), Just("\u{e9}"), Just("REQ 3 a b\n")], 0..40),
            step in 1_usize..20,
            room in 1_usize..100,
        ) {
            let input = words.concat();
            let whole = answers(input.as_bytes(), input.len().max(1), usize::MAX / 2);
            prop_assert_eq!(&whole, &answers(input.as_bytes(), step, room));
            let lines = input.bytes().filter(|&b| b == b'\n').count();
            let tail = usize::from(!input.is_empty() && !input.ends_with('\n'));
            let answered = whole.0.iter().filter(|&&b| b == b'\n').count();
            prop_assert_eq!(answered, lines + tail);
        }
    }
}
