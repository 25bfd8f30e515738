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

/// The question, as the original asks it.
const QUESTION: &[u8] = b"health\r\n";

/// What a healthy node's answer holds.
const HEALTHY: &[u8] = b"up";

/// What is read of an answer at most: `health: up` is ten bytes.
const ANSWER_BYTES: u64 = 1024;

/// How much of a wrong answer is logged.
const SHOWN_BYTES: usize = 60;

/// Asks a node once.
///
/// # Errors
/// Why it does not count as healthy, as a fragment for a log line.
pub(super) async fn ask(at: SocketAddr, patience: Duration) -> Result<(), String> {
    match timeout(patience, carry_out(at)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer after {patience:?}")),
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

    async fn outcome(says: &'static [u8], patience: Duration) -> Result<(), String> {
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
        assert_eq!(outcome(b"health: up\n", PATIENCE).await, Ok(()));
        assert_eq!(outcome(b"up", PATIENCE).await, Ok(()));
        let down = outcome(b"health: down\n", PATIENCE).await.unwrap_err();
        assert_eq!(down, "it says \"health: down\"");
        let closed = outcome(b"", PATIENCE).await.unwrap_err();
        assert_eq!(closed, "closed without an answer");
        let silent = outcome(b"nothing", Duration::from_millis(20)).await;
        assert_eq!(silent.unwrap_err(), "no answer after 20ms");
    }

    #[tokio::test]
    async fn nobody_there_is_a_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let error = ask(at, PATIENCE).await.unwrap_err();
        assert!(error.contains("refused"), "{error}");
    }
}
