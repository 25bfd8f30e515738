//! What must come first from a client: a PROXY protocol header, a TLS hello to be looked
//! at, a TLS handshake. Everything here is bounded: a header and a hello by their sizes, all of
//! it by the preface timeout.

use protocol::client_hello::{self, DEFAULT_MAX_BYTES, Hello};
use protocol::proxy_header::{self, Addresses, HeaderError};

use super::Relay;
use super::conn::{Conn, Preface, Trouble};
use crate::plane::{Filtered, Output};

/// Nothing goes on.
const REFUSED: Filtered = Filtered {
    forward: 0,
    end: 0,
    reset: true,
};

impl Relay {
    /// Reads bytes of a connection that does not simply pass them on.
    pub(super) fn read_preface(
        &mut self,
        conn: &mut Conn,
        data: &mut [u8],
        output: &mut Output,
    ) -> Filtered {
        let mut at = 0;
        loop {
            let rest = &data[at..];
            match conn.preface {
                Preface::Header | Preface::HeaderOrData => match self.read_header(conn, rest) {
                    Ok(Some(len)) => at += len,
                    Ok(None) => return hold(data, at),
                    Err(()) => return REFUSED,
                },
                Preface::Untrusted => {
                    self.counters.headers_untrusted.add(1);
                    conn.trouble = Some(Trouble::Preface);
                    return REFUSED;
                }
                Preface::Hello => match client_hello::peek(rest, DEFAULT_MAX_BYTES) {
                    Ok(Some(hello)) => self.route(conn, hello),
                    Ok(None) => return hold(data, at),
                    Err(error) => {
                        self.counters.bad_hello(error);
                        conn.trouble = Some(Trouble::Preface);
                        return REFUSED;
                    }
                },
                Preface::Handshake | Preface::Done if conn.tls.is_some() => {
                    return self.decrypt(conn, &mut data[at..], output);
                }
                Preface::Handshake | Preface::Done => {
                    data.copy_within(at.., 0);
                    return Filtered::all(data.len() - at);
                }
            }
        }
    }

    /// Takes a header off, if it is whole. Says how many bytes it had.
    fn read_header(&mut self, conn: &mut Conn, data: &[u8]) -> Result<Option<usize>, ()> {
        match proxy_header::parse(data) {
            Ok(None) => Ok(None),
            Ok(Some((header, len))) => {
                if let Addresses::Proxied {
                    source,
                    destination,
                    ..
                } = header.addresses
                {
                    conn.told = Some((source, destination));
                }
                self.counters.headers.add(1);
                conn.preface = conn.settings.preface_behind_header();
                Ok(Some(len))
            }
            Err(HeaderError::NotProxy) if conn.preface == Preface::HeaderOrData => {
                conn.preface = conn.settings.preface_behind_header();
                Ok(Some(0))
            }
            Err(error) => {
                self.counters.bad_header(error);
                conn.trouble = Some(Trouble::Preface);
                Err(())
            }
        }
    }

    /// The hello is whole: chooses the pool.
    fn route(&mut self, conn: &mut Conn, hello: Hello) {
        conn.sni = hello.server_name.map(String::into_boxed_str);
        conn.pool = conn.settings.pool_for(conn.sni.as_deref());
        conn.preface = Preface::Done;
    }

    /// Hands bytes to TLS and passes on what they say.
    fn decrypt(&mut self, conn: &mut Conn, data: &mut [u8], output: &mut Output) -> Filtered {
        let Some(tls) = &mut conn.tls else {
            return REFUSED;
        };
        let read = tls.receive(data, &mut output.to_upstream, &mut output.to_client);
        let is_through = !tls.is_handshaking();
        if conn.preface == Preface::Handshake && is_through {
            self.counters.handshakes.add(1);
            conn.sni = tls.server_name().map(Into::into);
            conn.pool = conn.settings.pool_for(conn.sni.as_deref());
            conn.preface = Preface::Done;
        }
        if let Err(error) = read {
            tracing::debug!("TLS: {error}");
            self.counters.tls_failed.add(1);
            conn.trouble = Some(Trouble::Tls);
            return REFUSED;
        }
        if !output.to_upstream.is_empty() {
            conn.note_question();
        }
        Filtered::all(0)
    }
}

/// Waits for more behind what has been taken off.
fn hold(data: &mut [u8], at: usize) -> Filtered {
    data.copy_within(at.., 0);
    Filtered {
        forward: 0,
        end: data.len() - at,
        reset: false,
    }
}
