//! Asking whether somebody answers: valid requests on a fresh connection, each answer
//! checked.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::foo::{Answer, Kind, Message, encode};
use report::event::{Audit, ProbeOutcome, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

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
}

impl Check {
    fn accepts(self, message: &Message<'_>, seq: i64, data: &[u8]) -> bool {
        let of_this_request = message.seq == seq && message.kind != Kind::Req;
        match self {
            Self::Seq => of_this_request,
            Self::Digest => {
                let answer = Answer::to(seq, data);
                of_this_request && message.kind == answer.kind && message.data == answer.digits
            }
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
    let mut sent = false;
    let asking = async {
        let Ok(mut stream) = TcpStream::connect(at).await else {
            return ProbeOutcome::Refused;
        };
        let data = format!("probe{seq:x}");
        let mut request = Vec::new();
        encode(Kind::Req, seq, data.as_bytes(), &mut request);
        if stream.write_all(&request).await.is_err() {
            return ProbeOutcome::Closed;
        }
        sent = true;
        match read_line(&mut stream, &mut Vec::new()).await {
            Err(_) => ProbeOutcome::Closed,
            Ok(line) => match Message::next(&line) {
                Some((Ok(message), _)) if check.accepts(&message, seq, data.as_bytes()) => {
                    ProbeOutcome::Answered
                }
                _ => ProbeOutcome::Wrong,
            },
        }
    };
    let outcome = timeout(patience, asking)
        .await
        .unwrap_or(ProbeOutcome::Silent);
    (outcome, sent)
}

/// Sends many requests, some at a time, and counts right and wrong answers. What is not
/// answered in time is neither.
pub async fn audit(at: SocketAddr, check: Check, role: Role, patience: Duration) -> Audit {
    let mut audit = Audit {
        role,
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
