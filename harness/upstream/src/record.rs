//! What a reference server counted: plain data, written as one JSON line.

use serde::{Deserialize, Serialize};

use crate::statsd::StatsdRecord;
use crate::udp::UdpRecord;

/// Declares a record of counts, with the sum of two of them.
macro_rules! counts {
    ($(#[$about:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name { $($(#[$doc])* #[serde(skip_serializing_if = "is_zero")] pub $field: u64,)* }

        impl $name {
            /// Adds the counts of another worker.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }

            fn is_empty(&self) -> bool {
                *self == Self::default()
            }
        }
    };
}

/// Counts of a reference server since its start, over all connections. Written to
/// stdout on SIGUSR1 and at an orderly end.
///
/// `connections_total` is the sum of open, closed, reset by the client and cut by
/// us, at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamRecord {
    /// What the server is called, if it was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Connections accepted.
    pub connections_total: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Connections that ended in an orderly way.
    #[serde(default)]
    pub connections_closed: u64,
    /// Connections that the client broke off.
    #[serde(default)]
    pub connections_reset: u64,
    /// Connections that we broke off: for a planted defect, or for want of a PROXY header.
    #[serde(default)]
    pub connections_cut: u64,
    /// Foo: lines that could be decoded (of any type: all are answered as requests).
    /// HTTP: heads that could be parsed.
    pub requests: u64,
    /// Answered with ACK.
    pub acks: u64,
    /// Answered with NAK, the answers to undecodable lines apart.
    pub naks: u64,
    /// Foo: lines that could not be decoded, each answered with `NAK 0 ERRDECODE`.
    /// HTTP: heads that were refused, each with a status of 400 or more.
    pub decode_errors: u64,
    /// Connections closed because a line or a head was too long.
    pub too_long: u64,
    /// Answers that a planted defect changed.
    pub wrong_replies: u64,
    /// Bytes read, PROXY headers included.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// How often each planted defect struck; none that did not.
    #[serde(default, skip_serializing_if = "DefectHits::is_empty")]
    pub hits: DefectHits,
    /// What came with `--proxy-protocol`.
    #[serde(default, skip_serializing_if = "ProxyHeaders::is_empty")]
    pub proxy_headers: ProxyHeaders,
    /// The source addresses of the first few PROXY headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxy_sources: Vec<String>,
    /// What came to `statsd`. Its connections are those to both of its ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statsd: Option<StatsdRecord>,
    /// What came to `udp-echo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp: Option<UdpRecord>,
}

counts! {
    /// How often each planted defect struck. What is struck is in its name: connections,
    /// reads, answers or bytes.
    pub struct DefectHits {
        /// Connections.
        pub accept_then_close,
        /// Connections.
        pub accept_then_silence,
        /// 1 once nothing is accepted any more.
        pub stop_accepting,
        /// Times that the listener was closed.
        pub flap,
        /// Freezes begun.
        pub freeze,
        /// Answers held back.
        pub slow,
        /// Waits before a read.
        pub slow_reader,
        /// Waits before a write.
        pub slow_writer,
        /// Connections whose last answers waited.
        pub late_reply,
        /// Connections.
        pub reset_after,
        /// Connections.
        pub reset_midway,
        /// Bytes.
        pub corrupt_byte,
        /// Bytes.
        pub drop_byte,
        /// Bytes.
        pub duplicate_byte,
        /// Answers.
        pub wrong_connection,
        /// Answers.
        pub wrong_port,
        /// Datagrams that were not answered.
        pub silence,
        /// Messages that memory was kept for.
        pub leak_memory,
        /// Connections that a descriptor was kept for.
        pub leak_descriptors,
        /// Connections that a thread was kept for.
        pub leak_threads,
        /// `health` commands that were not answered.
        pub silent_health,
        /// `health` commands that were answered with `down`.
        pub health_down,
    }
}

counts! {
    /// What connections began with when a PROXY header was expected.
    pub struct ProxyHeaders {
        /// A header of version 1.
        pub v1,
        /// A header of version 2.
        pub v2,
        /// Headers of either version that named no source (`UNKNOWN`, `LOCAL`).
        pub without_source,
        /// Something that is no header, or a broken one; the connection was closed.
        pub refused,
        /// The client's end before a whole header had come.
        pub cut_short,
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl UpstreamRecord {
    /// Adds the counts of another worker.
    pub fn add(&mut self, other: &Self) {
        self.connections_total += other.connections_total;
        self.connections_open += other.connections_open;
        self.connections_closed += other.connections_closed;
        self.connections_reset += other.connections_reset;
        self.connections_cut += other.connections_cut;
        self.requests += other.requests;
        self.acks += other.acks;
        self.naks += other.naks;
        self.decode_errors += other.decode_errors;
        self.too_long += other.too_long;
        self.wrong_replies += other.wrong_replies;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.hits.add(&other.hits);
        self.proxy_headers.add(&other.proxy_headers);
    }
}
