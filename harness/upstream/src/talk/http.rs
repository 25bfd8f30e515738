//! A minimal HTTP/1.1 server: requests and answers of any length, on one connection.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /` | `ok` and a newline |
//! | `GET /bytes/N`, `POST /bytes/N` | N bytes of [`pattern`](crate::pattern) |
//! | `GET /status/CODE` | an empty answer with this status |
//! | `POST /` | how many bytes the body had, in decimal, and a newline |
//! | `POST /echo` | the body |
//!
//! `HEAD` is answered as `GET` without the body, `PUT` as `POST`. Requests may be
//! pipelined. Anything that is refused ends the connection.

use std::cmp::Ordering;
use std::io::Write;

use super::head::{self, Head, Refused};
use super::{Context, Input, Stopped};
use crate::pattern;

/// Bytes of an answer that are made at once.
const PIECE_BYTES: u64 = 64 * 1024;

/// Where the conversation is.
#[derive(Debug, Default)]
pub(crate) struct Http {
    state: State,
    /// Bytes at the start of the buffer that are known to hold no whole head.
    known: usize,
    /// The answer that is under way is the last one.
    last: bool,
    /// The process hangs after this answer.
    hangs: bool,
}

#[derive(Debug, Default)]
enum State {
    /// A head comes next.
    #[default]
    Head,
    /// So much of a body is to be dropped before the answer.
    Drop { left: u64, reply: Reply },
    /// So much of a body is to be sent back.
    Echo { left: u64 },
    /// The pattern is to be sent from `at` to `end`.
    Send { at: u64, end: u64 },
}

/// An answer that is still to be begun.
#[derive(Clone, Debug)]
struct Reply {
    status: u16,
    body: Body,
    /// The length is said and the body is not sent.
    head_only: bool,
}

#[derive(Clone, Debug)]
enum Body {
    Text(String),
    Pattern(u64),
}

impl Http {
    /// Answers requests.
    pub(super) fn answer(
        &mut self,
        input: Input<'_>,
        out: &mut Vec<u8>,
        room: usize,
        context: &mut Context<'_>,
    ) -> (usize, Stopped) {
        let limit = out.len() + room;
        let mut at = 0;
        loop {
            if out.len() >= limit {
                return (at, Stopped::NoRoom);
            }
            let rest = &input.bytes[at..];
            let (done, stopped) = match &mut self.state {
                State::Head => self.begin(rest, out, context),
                State::Drop { left, reply } => {
                    let take = (*left).min(rest.len() as u64);
                    *left -= take;
                    if *left == 0 {
                        let reply = reply.clone();
                        self.reply(reply, out, context);
                    }
                    (take as usize, None)
                }
                State::Echo { left } => {
                    let take = (*left).min(rest.len().min(limit - out.len()) as u64);
                    *left -= take;
                    out.extend_from_slice(&rest[..take as usize]);
                    (take as usize, None)
                }
                State::Send { at, end } => {
                    let piece = *at..(*at + PIECE_BYTES.min((limit - out.len()) as u64)).min(*end);
                    *at = piece.end;
                    pattern::append(context.process.config.seed, piece, out);
                    (0, None)
                }
            };
            at += done;
            if let Some(stopped) = stopped.or_else(|| self.settle(input.bytes.len() == at)) {
                return (at, stopped);
            }
        }
    }

    /// What is to be done once nothing is left of a state.
    fn settle(&mut self, is_dry: bool) -> Option<Stopped> {
        let is_over = match self.state {
            State::Head => return None,
            State::Drop { left, .. } => return (left > 0 && is_dry).then_some(Stopped::NeedsInput),
            State::Echo { left } if left > 0 => return is_dry.then_some(Stopped::NeedsInput),
            State::Echo { .. } => true,
            State::Send { at, end } => at == end,
        };
        if !is_over {
            return None;
        }
        self.state = State::Head;
        match (self.hangs, self.last) {
            (true, _) => Some(Stopped::Hang),
            (false, true) => Some(Stopped::Done),
            (false, false) => None,
        }
    }

    /// Takes a head.
    fn begin(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> (usize, Option<Stopped>) {
        let (head, len) = match head::parse(bytes, self.known) {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.known = bytes.len();
                return (0, Some(Stopped::NeedsInput));
            }
            Err(refused) => return (bytes.len(), Some(refuse(refused, bytes, out, context))),
        };
        self.known = 0;
        let order = context.take_message();
        if order == Ordering::Greater {
            return (len, Some(Stopped::Hang));
        }
        self.hangs = order == Ordering::Equal;
        context.counts.requests += 1;
        self.last = !head.keeps_alive;
        let reply = reply_to(&head);
        if head.body > 0 && head.expects_continue {
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if matches!(head.method, "POST" | "PUT") && head.target == "/echo" {
            write_head(out, 200, head.body, self.last, context);
            self.state = State::Echo { left: head.body };
        } else if head.body > 0 {
            let left = head.body;
            self.state = State::Drop { left, reply };
        } else {
            self.reply(reply, out, context);
        }
        (len, None)
    }

    /// Begins an answer; what of it is short is all of it.
    fn reply(&mut self, reply: Reply, out: &mut Vec<u8>, context: &Context<'_>) {
        let length = match &reply.body {
            Body::Text(text) => text.len() as u64,
            Body::Pattern(length) => *length,
        };
        write_head(out, reply.status, length, self.last, context);
        let end = match reply.body {
            _ if reply.head_only => 0,
            Body::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                0
            }
            Body::Pattern(length) => length,
        };
        self.state = State::Send { at: 0, end };
    }
}

/// What a request is answered with.
fn reply_to(head: &Head<'_>) -> Reply {
    let text = |status, text: &str| (status, Body::Text(text.to_owned()));
    let takes_body = matches!(head.method, "POST" | "PUT");
    let path = head.target.split('?').next().unwrap_or_default();
    let (status, body) = if !takes_body && !matches!(head.method, "GET" | "HEAD") {
        text(405, "expected GET, HEAD, POST or PUT\n")
    } else if path == "/" && takes_body {
        (200, Body::Text(format!("{}\n", head.body)))
    } else if path == "/" {
        text(200, "ok\n")
    } else if let Some(length) = path.strip_prefix("/bytes/").and_then(number) {
        (200, Body::Pattern(length))
    } else if let Some(code) = path.strip_prefix("/status/").and_then(status_code) {
        text(code, "")
    } else {
        text(
            404,
            "expected /, /bytes/N, /status/CODE or, by POST, /echo\n",
        )
    };
    Reply {
        status,
        body,
        head_only: head.method == "HEAD",
    }
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// A status that allows a body of no bytes to be announced.
fn status_code(text: &str) -> Option<u16> {
    let code = number(text).and_then(|code| u16::try_from(code).ok())?;
    ((200..600).contains(&code) && code != 204 && code != 304).then_some(code)
}

/// Says what is wrong with a head; the connection is over.
fn refuse(refused: Refused, bytes: &[u8], out: &mut Vec<u8>, context: &mut Context<'_>) -> Stopped {
    let (status, why) = match refused {
        Refused::Malformed(why) => (400, why),
        Refused::TooLong => (431, "a head that is too long"),
        Refused::TransferEncoding => (501, "a body without a Content-Length"),
        Refused::Version => (505, "expected HTTP/1.1 or HTTP/1.0"),
    };
    if refused == Refused::TooLong {
        context.counts.too_long += 1;
    } else {
        context.counts.decode_errors += 1;
        let first = bytes.split(|&b| b == b'\r').next().unwrap_or_default();
        context.process.head_error(why, first);
    }
    write_head(out, status, why.len() as u64 + 1, true, context);
    out.extend_from_slice(why.as_bytes());
    out.push(b'\n');
    Stopped::Done
}

fn write_head(out: &mut Vec<u8>, status: u16, length: u64, last: bool, context: &Context<'_>) {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed\r\nAllow: GET, HEAD, POST, PUT",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "As Asked For",
    };
    let connection = if last { "Connection: close\r\n" } else { "" };
    write!(
        out,
        "HTTP/1.1 {status} {reason}\r\nContent-Length: {length}\r\n{connection}"
    )
    .expect("a vector takes everything");
    if let Some(name) = &context.process.config.name {
        write!(out, "X-Upstream: {name}\r\n").expect("a vector takes everything");
    }
    out.extend_from_slice(b"\r\n");
}
