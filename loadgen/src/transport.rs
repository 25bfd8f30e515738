//! What lies below the messages: where connections come from, what goes before the first
//! byte, how fast they are read and how they end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use protocol::proxy_header::{Addresses, Version, encode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// How connections are made, read and ended.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// The addresses that they come from, in turn; empty for the system's choice.
    pub sources: Vec<Ipv4Addr>,
    /// Talk TLS.
    pub tls: Option<Tls>,
    /// Send a PROXY header first.
    pub proxy_header: Option<ProxyHeader>,
    /// Read each connection no faster than this, in bytes per second.
    pub read_rate: Option<u64>,
    /// End our side when the last request is written, and wait for the target's end.
    pub half_close: bool,
    /// Give up the requests of a connection that cannot be opened, as their user would,
    /// instead of writing them to another.
    pub one_try: bool,
}

/// TLS as a client.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Trust and versions.
    pub config: Arc<ClientConfig>,
    /// Who the target must be.
    pub name: ServerName<'static>,
}

/// The PROXY header to send.
#[derive(Clone, Copy, Debug)]
pub struct ProxyHeader {
    /// Its version.
    pub version: ProxyVersion,
    /// The source that it tells; none for the connection's own address.
    pub source: Option<SocketAddr>,
}

/// Versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyVersion {
    /// The header that tells `source` and `target`.
    pub(crate) fn encode(self, source: SocketAddr, target: SocketAddr) -> Vec<u8> {
        let version = match self {
            Self::V1 => Version::V1,
            Self::V2 => Version::V2,
        };
        let mut out = Vec::new();
        encode(version, &Addresses::tcp(source, target), &mut out);
        out
    }
}
