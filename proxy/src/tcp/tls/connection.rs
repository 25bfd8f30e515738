//! The TLS of one connection.

use std::{fmt, mem};

use protocol::client_hello::{self, HelloError};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, WriteTraffic,
};
use rustls::{HandshakeKind, ProtocolVersion};

use super::failure::TlsError;

/// What may be kept of messages that are not whole yet. One record has at most 18 KiB;
/// a chain of client certificates goes over several, and the library stops at 64 KiB
/// for a message.
pub(super) const MAX_PENDING_BYTES: usize = 72 * 1024;

/// What a record carries at most, RFC 8446 section 5.1.
const FRAGMENT_BYTES: usize = 1 << 14;

/// What a record adds to that in either version: its head, and tag, explicit nonce and
/// inner type. More is found out by the library's asking for it.
const RECORD_OVERHEAD_BYTES: usize = 5 + 8 + 16 + 1;

/// The library's connection, ready to take data.
type Open<'a> = WriteTraffic<'a, ServerConnectionData>;

/// A message that the library has made.
type Message<'a> = EncodeTlsData<'a, ServerConnectionData>;

/// The server side of one connection's TLS.
///
/// It keeps nothing but the library's state while no message is cut in two: what is
/// encrypted or decrypted lies in the caller's buffers.
pub(crate) struct Tls {
    connection: UnbufferedServerConnection,
    /// The start of a message whose end is yet to come.
    pending: Vec<u8>,
    hello_seen: bool,
    server_name: Option<String>,
    peer_closed: bool,
    closed: bool,
    failure: Option<TlsError>,
}

impl Tls {
    /// Begins with the client's hello.
    pub(super) fn new(connection: UnbufferedServerConnection) -> Self {
        Self {
            connection,
            pending: Vec::new(),
            hello_seen: false,
            server_name: None,
            peer_closed: false,
            closed: false,
            failure: None,
        }
    }

    /// Takes what came from the client, which is decrypted where it lies. Appends what
    /// it said to `plain`, and what TLS itself has to answer to `to_client`.
    ///
    /// # Errors
    /// The connection is to be closed, once `to_client`, in which there may be an alert,
    /// is sent. What `plain` has was said before. All further calls fail the same way.
    pub(crate) fn receive(
        &mut self,
        data: &mut [u8],
        plain: &mut Vec<u8>,
        to_client: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        self.usable()?;
        let taken = if self.pending.is_empty() {
            self.process(data, plain, to_client).map(|used| {
                self.pending.extend_from_slice(&data[used..]);
            })
        } else {
            let mut joined = mem::take(&mut self.pending);
            joined.extend_from_slice(data);
            self.process(&mut joined, plain, to_client).map(|used| {
                // If all is used, the buffer goes: most connections are silent.
                if used < joined.len() {
                    joined.drain(..used);
                    self.pending = joined;
                }
            })
        };
        match taken {
            Ok(()) if self.pending.len() <= MAX_PENDING_BYTES => Ok(()),
            Ok(()) => {
                // No alert can be made for what the library has nothing against.
                self.close_notify(to_client);
                Err(self.fail(TlsError::TooLong, to_client))
            }
            Err(error) => Err(self.fail(error, to_client)),
        }
    }

    /// Encrypts `plain` for the client, all of it.
    ///
    /// # Errors
    /// [`TlsError::NotOpen`], with nothing changed, while the handshake lasts: whoever
    /// has something to say before must keep it. Likewise after [`Self::close_notify`].
    pub(crate) fn send(&mut self, plain: &[u8], to_client: &mut Vec<u8>) -> Result<(), TlsError> {
        self.usable()?;
        if self.closed {
            return Err(TlsError::NotOpen);
        }
        let room = plain.len() + plain.len().div_ceil(FRAGMENT_BYTES) * RECORD_OVERHEAD_BYTES;
        self.write(room, to_client, |open, out| open.encrypt(plain, out))
            .map_err(|error| self.fail(error, to_client))
    }

    /// Tells the client that nothing more will be sent; it may go on. Without this, the
    /// client must take the end for an attack. While the handshake lasts there is no
    /// such thing to tell.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is for one lifetime, and here it must be for any"
    )]
    pub(crate) fn close_notify(&mut self, to_client: &mut Vec<u8>) {
        if self.failure.is_none() && !self.closed {
            let told = self.write(0, to_client, |open, out| open.queue_close_notify(out));
            self.closed = told.is_ok();
        }
    }

    /// The client has said that nothing more will come. If its side of the connection
    /// ends without this, the end was cut off.
    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// No data can be sent yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// The host that the client asked for, in lower case.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The protocol that was agreed on.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the access log has the version alone")
    )]
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// The version that was agreed on, as OpenSSL and nginx call it.
    pub(crate) fn version(&self) -> Option<&'static str> {
        match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }

    /// The cipher suite that was agreed on.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the access log has the version alone")
    )]
    pub(crate) fn cipher(&self) -> Option<&'static str> {
        self.connection
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
    }

    /// Whether an earlier session goes on: the handshake cost next to nothing.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the access log has the version alone")
    )]
    pub(crate) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What is kept beside the library's state.
    #[cfg(test)]
    pub(super) fn pending_capacity(&self) -> usize {
        self.pending.capacity()
    }

    fn usable(&self) -> Result<(), TlsError> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// Works through all whole messages and says how many bytes can be forgotten.
    fn process(
        &mut self,
        bytes: &mut [u8],
        plain: &mut Vec<u8>,
        to_client: &mut Vec<u8>,
    ) -> Result<usize, TlsError> {
        if self.peer_closed {
            // "Any data received after a closure alert MUST be ignored", RFC 8446
            // section 6.1.
            return Ok(bytes.len());
        }
        if !self.hello_seen {
            let Some(hello) = client_hello::peek(bytes, client_hello::DEFAULT_MAX_BYTES)? else {
                return Ok(0);
            };
            self.hello_seen = true;
            self.server_name = hello.server_name;
        }
        let mut used = 0;
        loop {
            let handshaking = self.connection.is_handshaking();
            let status = self.connection.process_tls_records(&mut bytes[used..]);
            let mut discard = status.discard;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(|e| TlsError::from_rustls(e, handshaking))?;
                        plain.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => encode(&mut message, to_client),
                Ok(ConnectionState::TransmitTlsData(message)) => message.done(),
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_closed = true;
                    return Ok(bytes.len());
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => {
                    return Ok(used + discard);
                }
                // Both sides are closed; or early data, which nobody was offered.
                Ok(_) => return Ok(bytes.len()),
                Err(error) => return Err(TlsError::from_rustls(error, handshaking)),
            }
            used += discard;
        }
    }

    /// Remembers why this is the end, and appends the alert that says so.
    fn fail(&mut self, error: TlsError, to_client: &mut Vec<u8>) -> TlsError {
        match &error {
            TlsError::NotOpen => return error,
            TlsError::Hello(hello) => to_client.extend_from_slice(&alert(*hello)),
            _ => self.flush(to_client),
        }
        self.pending = Vec::new();
        self.failure = Some(error.clone());
        error
    }

    /// Appends what the library has to say, such as an alert.
    fn flush(&mut self, to_client: &mut Vec<u8>) {
        // While there is something to send, the library does not look for messages, so
        // it does not miss those that are pending.
        while self.connection.wants_write() {
            match self.connection.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(mut message)) => encode(&mut message, to_client),
                _ => return,
            }
        }
    }

    /// Lets the library append records, for which `room` bytes should be enough.
    fn write(
        &mut self,
        room: usize,
        to_client: &mut Vec<u8>,
        mut write: impl FnMut(&mut Open<'_>, &mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), TlsError> {
        if self.is_handshaking() {
            return Err(TlsError::NotOpen);
        }
        loop {
            // The bytes that are pending have been looked at: this is only the way to
            // the state in which the library takes data.
            let status = self.connection.process_tls_records(&mut self.pending);
            debug_assert_eq!(status.discard, 0, "nothing whole is pending");
            match status.state {
                Ok(ConnectionState::WriteTraffic(mut open)) => {
                    return append(room, to_client, |out| match write(&mut open, out) {
                        Ok(written) => Ok(written),
                        Err(EncryptError::InsufficientSize(size)) => Err(Some(size)),
                        Err(EncryptError::EncryptExhausted) => Err(None),
                    })
                    .ok_or(TlsError::Exhausted);
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => encode(&mut message, to_client),
                Ok(ConnectionState::TransmitTlsData(message)) => message.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(_) => return Err(TlsError::NotOpen),
                Err(error) => return Err(TlsError::from_rustls(error, false)),
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .field("version", &self.version())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// Appends a message of the library's own.
fn encode(message: &mut Message<'_>, to_client: &mut Vec<u8>) {
    let encoded = append(0, to_client, |out| match message.encode(out) {
        Ok(written) => Ok(written),
        Err(EncodeError::InsufficientSize(size)) => Err(Some(size)),
        Err(EncodeError::AlreadyEncoded) => Err(None),
    });
    debug_assert!(encoded.is_some(), "each message is encoded once");
}

/// Appends what `write` writes into the room behind `out`, which it is given again with
/// as much of it as it says that it needs. `None` if it cannot write.
fn append(
    mut room: usize,
    out: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> Option<()> {
    let start = out.len();
    loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return Some(());
            }
            Err(Some(InsufficientSizeError { required_size })) => room = required_size,
            Err(None) => {
                out.truncate(start);
                return None;
            }
        }
    }
}

/// A fatal alert in the clear, RFC 8446 section 6: nothing has been agreed on yet, and
/// the library has not been asked.
fn alert(error: HelloError) -> [u8; 7] {
    const UNEXPECTED_MESSAGE: u8 = 10;
    const RECORD_OVERFLOW: u8 = 22;
    const DECODE_ERROR: u8 = 50;
    const UNRECOGNIZED_NAME: u8 = 112;
    let description = match error {
        HelloError::NotTls | HelloError::NotHello => UNEXPECTED_MESSAGE,
        HelloError::TooLong => RECORD_OVERFLOW,
        HelloError::Malformed => DECODE_ERROR,
        HelloError::BadServerName => UNRECOGNIZED_NAME,
    };
    [21, 3, 3, 0, 2, 2, description]
}
