//! TLS termination, sans-IO: what comes from the client goes in, plain bytes and what
//! goes back to the client come out.
//!
//! [`terminator`] is what all connections share, [`certificates`] its files and the
//! choice among them, [`validity`] how long they last; [`connection`] is one client's
//! TLS, [`failure`] why it ended.

mod certificates;
mod connection;
mod failure;
mod terminator;
#[cfg(test)]
mod tests;
mod validity;

pub(crate) use certificates::CertificateFiles;
pub(crate) use connection::Tls;
pub(crate) use terminator::{ClientCertificates, MinimumVersion, Terminator, TlsOptions};
