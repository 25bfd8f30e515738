//! The server from outside: over real sockets, as a process of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod accepting;
mod bytes;
mod defects;
mod echo;
mod foo;
mod http;
mod program;
mod proxy_header;
mod statsd;
mod statsd_defects;
mod streams;
mod timing;
mod udp_echo;
mod udp_echo_defects;
