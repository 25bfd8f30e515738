//! A connection's line in the access log.

use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use crate::tcp::clock::rfc3339;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::tcp) enum Outcome {
    /// Both sides ended in good order, the client first.
    ClientEnd,
    /// Both sides ended in good order, the backend first.
    BackendEnd,
    /// The client reset the connection, or is gone.
    ClientReset,
    /// The backend reset the connection, or is gone.
    BackendReset,
    /// Nothing moved for too long.
    IdleTimeout,
    /// One side had ended and nothing came from the other for too long.
    HalfClosedTimeout,
    /// No backend could be connected to.
    DialFailed,
    /// Every backend is down, or there is none.
    NoBackend,
    /// Every backend is full, and so is the queue.
    QueueFull,
    /// Every backend stayed full for too long.
    QueueTimeout,
    /// The PROXY header or the TLS hello could not be read.
    PrefaceInvalid,
    /// The PROXY header, the TLS hello or the handshake took too long.
    PrefaceTimeout,
    /// The TLS handshake failed.
    TlsFailed,
    /// As many connections were open as `--max-connections` allows.
    TooManyConnections,
    /// Descriptors, memory or local ports ran out.
    Resources,
    /// The proxy ended while the connection was open.
    Stopped,
}

/// What is known of a connection that is over.
#[derive(Debug, Serialize)]
pub(in crate::tcp) struct Entry {
    /// When it was over; the writer fills it in if it is zero.
    #[serde(rename = "time", serialize_with = "as_rfc3339")]
    pub(in crate::tcp) unix_ms: u64,
    /// Who connected: the other end of the socket.
    pub(in crate::tcp) client: SocketAddr,
    /// Who the PROXY header says that it is.
    pub(in crate::tcp) proxied_for: Option<SocketAddr>,
    /// The pool that was chosen.
    pub(in crate::tcp) pool: Option<Box<str>>,
    /// The backend that was connected to, or tried last.
    pub(in crate::tcp) backend: Option<Box<str>>,
    /// The name that the client asked for in its TLS hello.
    pub(in crate::tcp) sni: Option<String>,
    /// The version of TLS, if it was terminated here.
    pub(in crate::tcp) tls: Option<&'static str>,
    /// Bytes received from the client.
    pub(in crate::tcp) client_bytes: u64,
    /// Bytes received from the backend.
    pub(in crate::tcp) backend_bytes: u64,
    /// From the first dial to the connection, in microseconds.
    #[serde(rename = "connect_ms", serialize_with = "us_as_ms")]
    pub(in crate::tcp) connect_us: Option<u64>,
    /// From the connection to the backend's first byte, in microseconds.
    #[serde(rename = "first_byte_ms", serialize_with = "us_as_ms")]
    pub(in crate::tcp) first_byte_us: Option<u64>,
    /// From the accept to the end.
    pub(in crate::tcp) duration_ms: u64,
    /// Dials, the failed ones included.
    pub(in crate::tcp) attempts: u32,
    /// How it ended.
    pub(in crate::tcp) end: Outcome,
}

impl Entry {
    /// Appends the line.
    pub(super) fn write_line(mut self, out: &mut Vec<u8>) {
        if self.unix_ms == 0 {
            self.unix_ms = service::clock::unix_ms();
        }
        let start = out.len();
        match serde_json::to_writer(&mut *out, &self) {
            Ok(()) => out.push(b'\n'),
            // Memory cannot fail and every value has a text, so this does not happen.
            Err(_) => out.truncate(start),
        }
    }
}

#[expect(
    clippy::ref_option,
    reason = "serde passes a reference to the field as it is"
)]
fn us_as_ms<S: Serializer>(us: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match us {
        Some(us) => serializer.serialize_f64(*us as f64 / 1_000.0),
        None => serializer.serialize_none(),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field as it is"
)]
fn as_rfc3339<S: Serializer>(unix_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&rfc3339(*unix_ms))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::tcp::access_log) fn example() -> Box<Entry> {
        Box::new(Entry {
            unix_ms: 951_782_399_007,
            client: "127.0.0.1:5".parse().unwrap(),
            proxied_for: None,
            pool: Some("default".into()),
            backend: Some("localhost:1".into()),
            sni: Some("a.example\n\"".to_owned()),
            tls: None,
            client_bytes: 3,
            backend_bytes: 4,
            connect_us: Some(1_500),
            first_byte_us: None,
            duration_ms: 7,
            attempts: 1,
            end: Outcome::ClientEnd,
        })
    }

    #[test]
    fn a_line_is_one_line_of_json() {
        let mut out = Vec::new();
        example().write_line(&mut out);
        let expected = "{\"time\":\"2000-02-28T23:59:59.007Z\",\"client\":\"127.0.0.1:5\",\
            \"proxied_for\":null,\"pool\":\"default\",\"backend\":\"localhost:1\",\
            \"sni\":\"a.example\\n\\\"\",\"tls\":null,\"client_bytes\":3,\"backend_bytes\":4,\
            \"connect_ms\":1.5,\"first_byte_ms\":null,\"duration_ms\":7,\"attempts\":1,\
            \"end\":\"client_end\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
