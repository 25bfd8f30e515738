//! Talking to a server's API: one request, one connection.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use service::addr::HostPort;

/// Longest that an answer is waited for. A change is answered at once.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(String, u16);

impl Place {
    /// From a host, which may have a scheme before it and a port behind it.
    pub(super) fn parse(host: &str, port: u16) -> Result<Self, String> {
        let bare = host.strip_prefix("http://").unwrap_or(host);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        if let Ok(whole) = bare.parse::<HostPort>() {
            return Ok(Self(whole.host().to_owned(), whole.port()));
        }
        let is_v6 = bare.contains(':');
        let text = if is_v6 && !bare.starts_with('[') {
            format!("[{bare}]:{port}")
        } else {
            format!("{bare}:{port}")
        };
        let parsed: Result<HostPort, _> = text.parse();
        match parsed {
            Ok(whole) => Ok(Self(whole.host().to_owned(), whole.port())),
            Err(_) => Err(format!(
                "--host: expected a host such as 127.0.0.1, got {host:?}"
            )),
        }
    }

    /// As an address to listen on.
    pub(super) fn to_host_port(&self) -> Result<HostPort, String> {
        let Self(host, port) = self;
        let text = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        text.parse().map_err(|error| format!("--host: {error}"))
    }

    /// Asks for something; a refusal is an error with the server's words.
    pub(super) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let at = self.to_host_port().map_err(io::Error::other)?;
        let told = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("no answer from the API at {at}: {error}"),
            )
        };
        let (status, text) = self.exchange(&at, method, path, body).map_err(told)?;
        let value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status < 300 {
            return Ok(value);
        }
        let said = value.get("error").and_then(Value::as_str);
        Err(io::Error::other(said.unwrap_or(text.trim()).to_owned()))
    }

    fn exchange(
        &self,
        at: &HostPort,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> io::Result<(u16, String)> {
        let addrs = at.connect_candidates()?;
        let mut stream = TcpStream::connect(&addrs[..])?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {at}\r\nUser-Agent: harness\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&String::from_utf8_lossy(&answer))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is no HTTP"))
    }
}

/// Status and body of an answer that ends with its connection.
fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    let is_chunked = head.lines().any(|line| {
        line.to_ascii_lowercase()
            .starts_with("transfer-encoding: chunked")
    });
    let body = if is_chunked {
        joined(body)?
    } else {
        body.to_owned()
    };
    Some((status.parse().ok()?, body))
}

/// The chunks of a body, put together.
fn joined(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

/// A name as a part of a path.
pub(super) fn encoded(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes()
        .map(|byte| match byte {
            byte if is_plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let cases = [
            ("127.0.0.1", "127.0.0.1:8474"),
            ("localhost:9000", "localhost:9000"),
            ("http://localhost:9000/", "localhost:9000"),
            ("::1", "[::1]:8474"),
            ("[::1]:5", "[::1]:5"),
            ("", ":8474"),
        ];
        for (host, expected) in cases {
            let place = Place::parse(host, 8474).unwrap();
            assert_eq!(
                place.to_host_port().unwrap().to_string(),
                expected,
                "{host}"
            );
        }
        assert!(Place::parse("a b", 1).is_err());
    }

    #[test]
    fn answers() {
        let plain = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}";
        assert_eq!(parse(plain), Some((200, "{}".to_owned())));
        let chunked = "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert_eq!(parse(chunked), Some((404, "abc".to_owned())));
        assert_eq!(parse("nonsense"), None);
    }
}
