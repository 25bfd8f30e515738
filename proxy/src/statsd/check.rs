//! Carrying out one health check: `health` to a node's admin port, and what it says.
//!
//! What an outcome means for the node is decided in [`health`](super::health).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::shortage::is_our_own;

/// The question, as the original asks it.
const QUESTION: &[u8] = b"health\r\n";

/// What a healthy node's answer holds.
const HEALTHY: &[u8] = b"up";

/// What is read of an answer at most: `health: up` is ten bytes.
const ANSWER_BYTES: u64 = 1024;

/// How much of a wrong answer is logged.
const SHOWN_BYTES: usize = 60;

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It says that it is well.
    Healthy,
    /// It does not, and why that is, as a fragment for a log line.
    Unhealthy(String),
    /// We could not ask, which says nothing of the node.
    NotAsked(String),
}

/// Asks a node once.
pub(super) async fn ask(at: SocketAddr, patience: Duration) -> Outcome {
    match timeout(patience, carry_out(at)).await {
        Ok(Ok(())) => Outcome::Healthy,
        Ok(Err(error)) if is_our_own(&error) => Outcome::NotAsked(error.to_string()),
        Ok(Err(error)) => Outcome::Unhealthy(error.to_string()),
        Err(_) => Outcome::Unhealthy(format!("no answer after {patience:?}")),
    }
}

async fn carry_out(at: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(QUESTION).await?;
    let mut answer = Vec::new();
    let mut limited = stream.take(ANSWER_BYTES);
    while limited.read_buf(&mut answer).await? > 0 {
        if memmem::find(&answer, HEALTHY).is_some() {
            return Ok(());
        }
        if answer.contains(&b'\n') {
            break;
        }
    }
    if answer.is_empty() {
        return Err(io::Error::other("closed without an answer"));
    }
    let start = answer[..answer.len().min(SHOWN_BYTES)].trim_ascii();
    Err(io::Error::other(format!(
        "it says \"{}\"",
        start.escape_ascii()
    )))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn outcome(says: &'static [u8], patience: Duration) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; QUESTION.len()];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(asked, QUESTION);
            if says == b"nothing" {
                return stream.read_exact(&mut [0]).await.map(|_| ()).unwrap_err();
            }
            for byte in says {
                // Who knows enough may hang up.
                let _ = stream.write_all(&[*byte]).await;
            }
            io::Error::other("done")
        };
        tokio::join!(serve, ask(at, patience)).1
    }

    #[tokio::test]
    async fn an_answer_with_up_in_it_is_healthy_and_nothing_else_is() {
        let unhealthy = |why: &str| Outcome::Unhealthy(why.to_owned());
        for (says, patience, expected) in [
            (&b"health: up\n"[..], PATIENCE, Outcome::Healthy),
            (b"up", PATIENCE, Outcome::Healthy),
            (
                b"health: down\n",
                PATIENCE,
                unhealthy("it says \"health: down\""),
            ),
            (b"", PATIENCE, unhealthy("closed without an answer")),
            (
                b"nothing",
                Duration::from_millis(20),
                unhealthy("no answer after 20ms"),
            ),
        ] {
            assert_eq!(outcome(says, patience).await, expected);
        }
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let outcome = ask(at, PATIENCE).await;
        assert!(matches!(outcome, Outcome::Unhealthy(_)), "{outcome:?}");
    }
}
