//! Sans-IO codecs of the protocols that the proxy, and what it is tested with, understand.
//!
//! [`foo`] is the line protocol of requests and acknowledgements. [`proxy_header`] is
//! what one proxy tells the next about a connection. [`client_hello`] looks at the start
//! of TLS, without being a party to it. [`statsd`] is lines of metrics. [`probe`] is the form
//! of datagrams that a load client numbers.
//!
//! Nothing here does I/O, knows about time, or knows who calls it: bytes come in as slices,
//! verdicts go out. Nothing keeps a buffer but [`statsd::Reassembler`].

pub mod client_hello;
pub mod foo;
pub mod probe;
pub mod proxy_header;
pub mod statsd;
