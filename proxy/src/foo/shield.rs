//! The shield: what a line from a client must be for the server to see it, and what
//! becomes of the others. Sans-IO.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use clap::ValueEnum;
use protocol::foo::{ERROR_ANSWER, Grammar, Head, Kind, Malformed, Scanner};

use super::counters::{Batch, FooCounters};
use super::order::Order;
use crate::plane::{Filtered, Limits, Next, Output, Passed, Protocol};

/// What to do with a line from a client that is not a valid request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnMalformed {
    /// Keep it from the server and answer `NAK 0 ERRDECODE` in its place.
    #[default]
    Reply,
    /// Keep it from the server and say nothing.
    Drop,
    /// Reset the connection.
    Close,
    /// Pass it on untouched, as a plain proxy would.
    Forward,
}

/// The Foo protocol in one worker.
pub(crate) struct Shield {
    pub(super) on_malformed: OnMalformed,
    pub(super) grammar: Grammar,
    pub(super) max_line: usize,
    pub(super) counters: Arc<FooCounters>,
    /// The server's addresses, tried in this order.
    pub(super) upstream: Arc<[SocketAddr]>,
    pub(super) limits: Limits,
}

/// One connection.
pub(crate) struct Conn {
    client: Scanner,
    upstream: Scanner,
    order: Order,
    /// Addresses that were tried.
    tried: usize,
}

impl Shield {
    /// Only one kind of message may come from each side.
    fn judge(
        verdict: Result<Head, Malformed>,
        may_send: impl Fn(Kind) -> bool,
    ) -> Result<Kind, Malformed> {
        let kind = verdict?.kind;
        if may_send(kind) {
            Ok(kind)
        } else {
            Err(Malformed::WrongDirection)
        }
    }

    /// Counts a malformed line and answers it, now or in its turn. Says whether the
    /// connection is to be reset.
    fn malformed(&self, conn: &mut Conn, reason: Malformed, answers: &mut Vec<u8>) -> bool {
        self.counters.from_client.add(reason);
        match self.on_malformed {
            OnMalformed::Close => return true,
            OnMalformed::Drop | OnMalformed::Forward => {}
            OnMalformed::Reply => {
                if conn.order.kept(conn.upstream.within_line()) {
                    self.own_answers(1, answers);
                }
            }
        }
        false
    }

    fn own_answers(&self, count: u64, out: &mut Vec<u8>) {
        self.counters.own_answers.add(count);
        for _ in 0..count {
            out.extend_from_slice(ERROR_ANSWER);
        }
    }
}

impl Protocol for Shield {
    type Conn = Conn;

    fn limits(&mut self) -> Limits {
        self.limits
    }

    fn connection(&mut self, _client: BorrowedFd<'_>, _now_ms: u64) -> Conn {
        let scanner = Scanner::new(self.grammar, self.max_line);
        Conn {
            client: scanner.clone(),
            upstream: scanner,
            order: Order::default(),
            tried: 0,
        }
    }

    fn next(&mut self, conn: &mut Conn, _now_ms: u64) -> Next {
        let next = self.upstream.get(conn.tried).copied();
        conn.tried += 1;
        next.map_or(Next::Refuse, Next::Dial)
    }

    fn client_data(
        &mut self,
        conn: &mut Conn,
        data: &mut [u8],
        fresh: usize,
        output: &mut Output,
    ) -> Filtered {
        let answers = &mut output.to_client;
        let pass_all = self.on_malformed == OnMalformed::Forward;
        let mut batch = Batch::default();
        let mut requests = 0;
        // Where the next good line goes, where the current line starts, how far it is read.
        let (mut kept, mut start, mut at) = (0, 0, fresh);
        while let Some(scanned) = conn.client.scan(&data[at..]) {
            at += scanned.len;
            match Self::judge(scanned.verdict, |kind| kind == Kind::Req) {
                Ok(kind) => {
                    batch.count(kind);
                    requests += 1;
                    if kept != start && !pass_all {
                        data.copy_within(start..at, kept);
                    }
                    kept += at - start;
                }
                Err(reason) => {
                    conn.order.forwarded(std::mem::take(&mut requests));
                    if self.malformed(conn, reason, answers) {
                        batch.add_to(&self.counters);
                        return Filtered {
                            forward: kept,
                            end: kept,
                            reset: true,
                        };
                    }
                }
            }
            start = at;
        }
        conn.order.forwarded(requests);
        batch.add_to(&self.counters);
        if pass_all {
            return Filtered::all(data.len());
        }
        if conn.client.is_hopeless() {
            // Nobody will want the beginning of this line.
            return Filtered::all(kept);
        }
        data.copy_within(start.., kept);
        Filtered {
            forward: kept,
            end: kept + data.len() - start,
            reset: false,
        }
    }

    fn client_end(&mut self, conn: &mut Conn, output: &mut Output) -> bool {
        match conn.client.finish() {
            Some(reason) => self.malformed(conn, reason, &mut output.to_client),
            None => false,
        }
    }

    fn upstream_data(&mut self, conn: &mut Conn, data: &[u8], output: &mut Vec<u8>) -> Passed {
        let plain = conn.order.is_plain();
        let mut batch = Batch::default();
        let (mut at, mut copied, mut lines) = (0, 0, 0);
        while let Some(scanned) = conn.upstream.scan(&data[at..]) {
            at += scanned.len;
            match Self::judge(scanned.verdict, |kind| kind != Kind::Req) {
                Ok(kind) => batch.count(kind),
                Err(reason) => self.counters.from_upstream.add(reason),
            }
            if plain {
                lines += 1;
                continue;
            }
            let due = conn.order.answered();
            if due > 0 {
                output.extend_from_slice(&data[copied..at]);
                copied = at;
                self.own_answers(due, output);
            }
        }
        batch.add_to(&self.counters);
        if plain {
            conn.order.answered_plainly(lines);
        }
        if copied == 0 {
            return Passed::Unchanged;
        }
        output.extend_from_slice(&data[copied..]);
        Passed::Rewritten
    }

    fn upstream_end(&mut self, conn: &mut Conn, _output: &mut Vec<u8>) {
        if let Some(reason) = conn.upstream.finish() {
            self.counters.from_upstream.add(reason);
        }
        conn.order.end();
    }

    fn is_full(&self, conn: &Conn) -> bool {
        conn.order.is_full()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use protocol::foo::MAX_LINE_BYTES;

    use super::*;

    fn shield(on_malformed: OnMalformed) -> Shield {
        let counters = Arc::new(FooCounters::default());
        Shield {
            on_malformed,
            grammar: Grammar::Strict,
            max_line: MAX_LINE_BYTES,
            counters,
            upstream: Arc::default(),
            limits: Limits::default(),
        }
    }

    fn connection(shield: &mut Shield) -> Conn {
        let client = std::fs::File::open("/dev/null").expect("a descriptor");
        shield.connection(client.as_fd(), 0)
    }

    /// Feeds `input` in pieces; returns what goes to the server and what the proxy says
    /// at once, and whether it resets.
    fn feed(
        shield: &mut Shield,
        conn: &mut Conn,
        input: &[u8],
        step: usize,
    ) -> (Vec<u8>, Vec<u8>, bool) {
        let (mut forwarded, mut output, mut held) = (Vec::new(), Output::default(), Vec::new());
        for piece in input.chunks(step) {
            let fresh = held.len();
            held.extend_from_slice(piece);
            let out = shield.client_data(conn, &mut held, fresh, &mut output);
            forwarded.extend_from_slice(&held[..out.forward]);
            held = held[out.forward..out.end].to_vec();
            if out.reset {
                return (forwarded, output.to_client, true);
            }
        }
        (forwarded, output.to_client, false)
    }

    const MIXED: &[u8] = b"REQ 1 a\ngarbage\n\nREQ 2 b\r\nREQ 3 c d\nACK 4 x\nREQ 5\nREQ 6 unfin";

    #[test]
    fn good_lines_pass_byte_for_byte_and_bad_ones_do_not() {
        for step in [1, 2, 3, 7, 1000] {
            for on_malformed in [OnMalformed::Reply, OnMalformed::Drop] {
                let mut shield = shield(on_malformed);
                let mut conn = connection(&mut shield);
                let (forwarded, answers, reset) = feed(&mut shield, &mut conn, MIXED, step);
                let expected = b"REQ 1 a\nREQ 2 b\r\nREQ 5\n";
                assert_eq!(
                    forwarded.escape_ascii().to_string(),
                    expected.escape_ascii().to_string()
                );
                assert!(
                    answers.is_empty() && !reset,
                    "the first request is not answered yet"
                );
                assert_eq!(shield.counters.requests.get(), 3);
            }
        }
    }

    #[test]
    fn own_answers_come_in_their_place() {
        for step in [1, 5, 1000] {
            let mut shield = shield(OnMalformed::Reply);
            let mut conn = connection(&mut shield);
            feed(&mut shield, &mut conn, MIXED, 4);
            let mut output = Output::default();
            assert!(!shield.client_end(&mut conn, &mut output));
            assert!(output.to_client.is_empty());
            let mut seen = Vec::new();
            for piece in b"ACK 1 r\nNAK 2 r\nACK 5 r\n".chunks(step) {
                let mut output = Vec::new();
                match shield.upstream_data(&mut conn, piece, &mut output) {
                    Passed::Unchanged => seen.extend_from_slice(piece),
                    Passed::Rewritten => seen.extend_from_slice(&output),
                }
            }
            let expected = "ACK 1 r\nNAK 0 ERRDECODE\nNAK 0 ERRDECODE\nNAK 2 r\n\
                NAK 0 ERRDECODE\nNAK 0 ERRDECODE\nACK 5 r\nNAK 0 ERRDECODE\n";
            assert_eq!(String::from_utf8_lossy(&seen), expected, "by {step}");
            assert_eq!(shield.counters.own_answers.get(), 5);
            assert_eq!(
                (shield.counters.acks.get(), shield.counters.naks.get()),
                (2, 1)
            );
        }
    }

    #[test]
    fn bad_lines_are_answered_at_once_when_nothing_is_outstanding() {
        let mut shield = shield(OnMalformed::Reply);
        let mut conn = connection(&mut shield);
        let (forwarded, answers, _) = feed(&mut shield, &mut conn, b"x\ny\n", 1000);
        assert!(forwarded.is_empty());
        assert_eq!(answers, ERROR_ANSWER.repeat(2));
    }

    #[test]
    fn close_resets_and_forward_passes_everything() {
        let mut close = shield(OnMalformed::Close);
        let mut conn = connection(&mut close);
        assert!(feed(&mut close, &mut conn, MIXED, 1000).2);
        let mut forward = shield(OnMalformed::Forward);
        let mut conn = connection(&mut forward);
        for step in [1, 1000] {
            assert_eq!(feed(&mut forward, &mut conn, MIXED, step).0, MIXED);
        }
    }

    #[test]
    fn a_long_line_is_not_held_whole() {
        let mut shield = shield(OnMalformed::Drop);
        let mut conn = connection(&mut shield);
        let mut line = b"REQ 1 ".to_vec();
        line.resize(MAX_LINE_BYTES, b'x');
        let out = shield.client_data(&mut conn, &mut line, 0, &mut Output::default());
        assert_eq!((out.forward, out.end), (0, MAX_LINE_BYTES));
        line.push(b'x');
        let out = shield.client_data(&mut conn, &mut line, MAX_LINE_BYTES, &mut Output::default());
        assert_eq!((out.forward, out.end), (0, 0));
    }
}
