//! As much of HTTP as a proxy's admin endpoint needs: one request, one answer, no more.

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
    let asking = async {
        let mut stream = TcpStream::connect(at).await?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
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
