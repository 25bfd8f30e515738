//! Asking whether somebody answers: valid requests on a fresh connection, each answer
//! checked. [`datagram`] is how those are asked that take no connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::foo::{Answer, Kind, Message, encode};
use report::event::{Audit, ProbeOutcome, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::datagram;

/// Requests of an audit: a server that answers one in 100 wrongly passes it once in
/// 10,000,000,000 times.
const AUDIT_REQUESTS: u64 = 2_048;

/// Requests of an audit that are in flight together, so that answers can change places.
const AUDIT_BATCH: u64 = 16;

/// An answer that is longer than this is none.
const MAX_ANSWER_BYTES: usize = 4_096;

/// What counts as the right answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Exactly what our reference server answers.
    Digest,
    /// ACK or NAK with the request's sequence number, as any Foo server answers.
    Seq,
    /// The same bytes.
    Echo,
    /// The same bytes, once the client has ended its side.
    EchoAtEnd,
    /// That the connection is taken: whatever is sent, nothing comes back.
    Open,
    /// Anything, without being asked.
    Bytes,
    /// An answer of HTTP.
    Http,
    /// Whether it is healthy, said in the way of statsd.
    Health,
    /// The same datagram.
    Datagram,
}

impl Check {
    /// What is sent.
    fn request(self, seq: i64) -> Vec<u8> {
        let mut request = Vec::new();
        match self {
            Self::Digest | Self::Seq => encode(Kind::Req, seq, data(seq).as_bytes(), &mut request),
            Self::Echo | Self::EchoAtEnd => request.extend(format!("{}\n", data(seq)).bytes()),
            Self::Http => request.extend_from_slice(HTTP_REQUEST),
            Self::Health => request.extend_from_slice(b"health\r\n"),
            Self::Open | Self::Bytes | Self::Datagram => {}
        }
        request
    }

    /// Whether it is asked in Foo, so that an audit makes sense.
    #[must_use]
    pub fn is_foo(self) -> bool {
        matches!(self, Self::Digest | Self::Seq)
    }

    fn accepts(self, message: &Message<'_>, seq: i64, data: &[u8]) -> bool {
        let of_this_request = message.seq == seq && message.kind != Kind::Req;
        match self {
            Self::Seq => of_this_request,
            Self::Digest => {
                let answer = Answer::to(seq, data);
                of_this_request && message.kind == answer.kind && message.data == answer.digits
            }
            _ => false,
        }
    }
}

/// Sends one request and says what came of it, and whether the request was written.
pub async fn once(
    at: SocketAddr,
    check: Check,
    seq: i64,
    patience: Duration,
) -> (ProbeOutcome, bool) {
    if check == Check::Datagram {
        return datagram::ask(at, seq, patience).await;
    }
    let mut sent = false;
    let asking = async {
        let Ok(mut stream) = TcpStream::connect(at).await else {
            return ProbeOutcome::Refused;
        };
        let request = check.request(seq);
        if stream.write_all(&request).await.is_err() {
            return ProbeOutcome::Closed;
        }
        sent = !request.is_empty();
        if check == Check::EchoAtEnd && stream.shutdown().await.is_err() {
            return ProbeOutcome::Closed;
        }
        if check == Check::Open {
            return ProbeOutcome::Answered;
        }
        if check == Check::Bytes {
            let read = stream.read(&mut [0; 1]).await;
            return match read {
                Ok(1..) => ProbeOutcome::Answered,
                _ => ProbeOutcome::Closed,
            };
        }
        match read_line(&mut stream, &mut Vec::new()).await {
            Err(_) => ProbeOutcome::Closed,
            Ok(line) if is_right(check, seq, &request, &line) => ProbeOutcome::Answered,
            Ok(_) => ProbeOutcome::Wrong,
        }
    };
    let outcome = timeout(patience, asking)
        .await
        .unwrap_or(ProbeOutcome::Silent);
    (outcome, sent)
}

/// A request that any server of HTTP answers.
const HTTP_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n";

fn data(seq: i64) -> String {
    format!("probe{seq:x}")
}

/// Whether `line` is what `request` is to be answered with.
fn is_right(check: Check, seq: i64, request: &[u8], line: &[u8]) -> bool {
    match check {
        Check::Echo | Check::EchoAtEnd => line == request,
        Check::Http => line.starts_with(b"HTTP/1.1 200"),
        Check::Health => line.starts_with(b"health: "),
        _ => Message::next(line).is_some_and(|(message, _)| {
            message.is_ok_and(|message| check.accepts(&message, seq, data(seq).as_bytes()))
        }),
    }
}

/// Sends many requests, some at a time, and counts right and wrong answers. What is not
/// answered in time is neither.
pub async fn audit(
    at: SocketAddr,
    check: Check,
    role: Role,
    name: Option<String>,
    patience: Duration,
) -> Audit {
    let mut audit = Audit {
        role,
        name,
        sent: 0,
        right: 0,
        wrong: 0,
    };
    let _ = timeout(patience, batches(at, check, &mut audit)).await;
    audit
}

async fn batches(at: SocketAddr, check: Check, audit: &mut Audit) -> io::Result<()> {
    let mut stream = TcpStream::connect(at).await?;
    let mut buffer = Vec::new();
    let mut first = 1_i64;
    while audit.sent < AUDIT_REQUESTS {
        let seqs = first..first + AUDIT_BATCH.cast_signed();
        let mut requests = Vec::new();
        for seq in seqs.clone() {
            encode(
                Kind::Req,
                seq,
                format!("audit{seq:x}").as_bytes(),
                &mut requests,
            );
        }
        stream.write_all(&requests).await?;
        audit.sent += AUDIT_BATCH;
        for seq in seqs.clone() {
            let line = read_line(&mut stream, &mut buffer).await?;
            let is_right = Message::next(&line).is_some_and(|(message, _)| {
                message.is_ok_and(|m| check.accepts(&m, seq, format!("audit{seq:x}").as_bytes()))
            });
            if is_right {
                audit.right += 1;
            } else {
                audit.wrong += 1;
            }
        }
        // After a doubled answer all that follow are off by one: start again in step.
        if audit.wrong > 0 {
            stream = TcpStream::connect(at).await?;
            buffer.clear();
        }
        first = seqs.end;
    }
    Ok(())
}

/// The next line; what lies behind it stays in `buffer`.
async fn read_line(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    loop {
        if let Some(end) = memchr::memchr(b'\n', buffer) {
            return Ok(buffer.drain(..=end).collect());
        }
        if buffer.len() > MAX_ANSWER_BYTES {
            return Ok(std::mem::take(buffer));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
