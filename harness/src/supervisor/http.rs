//! As much of HTTP as admin endpoints and the API of links need: one request, one answer, no more.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An endpoint on this machine answers at once, however busy the proxy is beside it.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer that is longer is none of ours: hundreds of backends fit.
const MAX_ANSWER_BYTES: u64 = 8 << 20;

/// Sends one request without a body; gives the body of an answer of 2xx.
///
/// # Errors
/// Says what the endpoint answered instead, or that it did not.
pub async fn ask(at: SocketAddr, method: &str, path: &str) -> Result<String, String> {
    send(at, method, path, "").await
}

/// Sends one request with this body; gives the body of an answer of 2xx.
///
/// # Errors
/// Says what the endpoint answered instead, or that it did not.
pub async fn send(at: SocketAddr, method: &str, path: &str, body: &str) -> Result<String, String> {
    let asking = async {
        let mut stream = TcpStream::connect(at).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        stream
            .take(MAX_ANSWER_BYTES)
            .read_to_end(&mut answer)
            .await?;
        Ok::<_, io::Error>(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, asking)
        .await
        .map_err(|_| format!("{method} {path}: no answer in {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("{method} {path}: {error}"))?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let line = head.lines().next().unwrap_or_default();
    let status = line.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('2') {
        Ok(body.to_owned())
    } else {
        let said = body.trim().replace('\n', " ");
        Err(format!("{method} {path}: {line}: {said}"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// What `ask` makes of this answer, and what it sent.
    async fn asked(answer: &'static str) -> (Result<String, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        let answer = ask(at, "POST", "/backends/x/drain").await;
        (answer, server.join().unwrap())
    }

    #[tokio::test]
    async fn answers_and_refusals() {
        let (answer, request) = asked("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"x\":1}").await;
        assert_eq!(answer.as_deref(), Ok("{\"x\":1}"));
        assert!(
            request.starts_with("POST /backends/x/drain HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("Connection: close\r\n"), "{request}");
        let (answer, _) = asked("HTTP/1.1 404 Not Found\r\n\r\nno backend x\n").await;
        let said = answer.unwrap_err();
        assert!(
            said.contains("404") && said.contains("no backend x"),
            "{said}"
        );
        let (answer, _) = asked("what?").await;
        assert!(answer.is_err());
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let gone = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(ask(gone, "GET", "/state").await.is_err());
    }
}
