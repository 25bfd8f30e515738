//! `proxy tcp`, end to end: real processes, real sockets, backends that the tests play.

mod access_log;
mod admin;
mod balancing;
mod command_line;
mod discovery;
mod health;
mod metrics;
mod proxy_protocol;
mod relay;
mod reload;
mod server;
mod started;
mod tls;
mod upgrade;
