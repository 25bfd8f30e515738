//! The control API on HTTP, compatible with that of Toxiproxy.
//!
//! `routes` knows the endpoints, `server` the connections, `metrics` what Prometheus is
//! told.

mod metrics;
mod routes;
mod server;

pub use routes::{Api, Metrics};
pub use server::serve;
