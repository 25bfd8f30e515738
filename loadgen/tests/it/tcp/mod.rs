//! `loadgen tcp`, against servers in this process.

mod bad_input;
mod bulk;
mod connections;
mod integrity;
pub(crate) mod server;
mod tls;
