//! `loadgen check`: what the original client does. One connection, requests one at a
//! time, a dot for every ten answers, then `OK!` or `FAILED!` with the reasons.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use protocol::foo::{Answer, Kind, MAX_LINE_BYTES, Message, encode};

use crate::args::CheckArgs;
use crate::config::fresh_seed;
use crate::judge::Verify;
use crate::output::console::Console;
use crate::payload::{Lengths, Payload};

/// Reasons that are listed; the rest is counted.
const REASONS_LISTED: usize = 10;

/// Carries out the arguments.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    let mut console = Console::default();
    let mut reasons = Vec::new();
    if let Err(reason) = check(args, &mut console, &mut reasons) {
        reasons.push(reason);
    }
    if reasons.is_empty() {
        console.line("OK!");
        return ExitCode::SUCCESS;
    }
    console.line("FAILED!");
    for reason in reasons.iter().take(REASONS_LISTED) {
        console.line(reason);
    }
    if reasons.len() > REASONS_LISTED {
        console.line(&format!("and {} more", reasons.len() - REASONS_LISTED));
    }
    ExitCode::from(1)
}

/// Sends all requests. A wrong answer is a reason, after which it goes on; `Err` is a
/// reason after which it cannot.
fn check(args: &CheckArgs, console: &mut Console, reasons: &mut Vec<String>) -> Result<(), String> {
    let mut stream = connect(args)?;
    let payload = Payload::new(args.seed.unwrap_or_else(fresh_seed), Lengths::default());
    let (mut data, mut line, mut inbound) = (Vec::new(), Vec::new(), Vec::new());
    for seq in 1..=args.requests {
        data.clear();
        line.clear();
        payload.write(0, seq, &mut data);
        encode(Kind::Req, seq.cast_signed(), &data, &mut line);
        stream
            .write_all(&line)
            .map_err(|error| format!("request {seq}: cannot send: {error}"))?;
        let reply = read_line(&mut stream, &mut inbound, args.timeout)
            .map_err(|why| format!("request {seq}: {why}"))?;
        if let Err(why) = judge(args.verify, seq, &data, &reply) {
            let shown = &reply[..reply.len().min(80)];
            reasons.push(format!(
                "request {seq}: {why}: {}",
                shown.trim_ascii_end().escape_ascii()
            ));
        }
        if seq.is_multiple_of(10) {
            console.dot();
        }
    }
    if !inbound.is_empty() {
        reasons.push(format!("{} bytes more than the answers", inbound.len()));
    }
    Ok(())
}

fn connect(args: &CheckArgs) -> Result<TcpStream, String> {
    let failed = |error: io::Error| format!("cannot connect to {}: {error}", args.connect);
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for target in args.connect.connect_candidates().map_err(failed)? {
        match TcpStream::connect_timeout(&target, args.connect_timeout.max(Duration::from_nanos(1)))
        {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

/// Reads one line, its newline included, within `timeout`.
fn read_line(
    stream: &mut TcpStream,
    inbound: &mut Vec<u8>,
    timeout: Duration,
) -> Result<Vec<u8>, String> {
    let deadline = Instant::now() + timeout;
    let mut piece = [0; 4_096];
    loop {
        if let Some(end) = inbound.iter().position(|byte| *byte == b'\n') {
            return Ok(inbound.drain(..=end).collect());
        }
        if inbound.len() > MAX_LINE_BYTES {
            return Err("the answer has no end".to_owned());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("no answer within {timeout:?}"));
        }
        stream
            .set_read_timeout(Some(left))
            .map_err(|error| error.to_string())?;
        match stream.read(&mut piece) {
            Ok(0) => return Err("the connection was closed before the answer".to_owned()),
            Ok(n) => inbound.extend_from_slice(&piece[..n]),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("cannot read the answer: {error}")),
        }
    }
}

/// Whether `line` is the answer to request `seq`, and why not.
fn judge(verify: Verify, seq: u64, data: &[u8], line: &[u8]) -> Result<(), String> {
    let reply = match Message::next(line) {
        Some((Ok(reply), _)) => reply,
        Some((Err(error), _)) => return Err(format!("not a message, {error}")),
        None => return Err("not a whole line".to_owned()),
    };
    if reply.kind == Kind::Req {
        return Err("a request instead of an answer".to_owned());
    }
    if verify == Verify::None {
        return Ok(());
    }
    if reply.seq != seq.cast_signed() {
        return Err(format!("answer to {} instead", reply.seq));
    }
    let right = Answer::to(reply.seq, data);
    if verify == Verify::Digest && (reply.kind != right.kind || reply.data != right.digits) {
        return Err("wrong digest".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_as_closely_as_asked() {
        let mut right = Vec::new();
        Answer::to(3, b"abc").encode(&mut right);
        for verify in [Verify::Seq, Verify::Digest, Verify::None] {
            assert_eq!(judge(verify, 3, b"abc", &right), Ok(()));
            assert!(judge(verify, 3, b"abc", b"REQ 3 abc\n").is_err());
            assert!(judge(verify, 3, b"abc", b"what\n").is_err());
        }
        let wrong_digest = judge(Verify::Digest, 3, b"abd", &right);
        assert_eq!(wrong_digest, Err("wrong digest".to_owned()));
        assert_eq!(judge(Verify::Seq, 3, b"abd", &right), Ok(()));
        let other = judge(Verify::Seq, 4, b"abc", &right);
        assert_eq!(other, Err("answer to 3 instead".to_owned()));
        assert_eq!(judge(Verify::None, 4, b"abc", &right), Ok(()));
    }
}
