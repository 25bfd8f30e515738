//! `harness toxics`, end to end: real processes, real sockets, and the published clients
//! of Toxiproxy.

mod churn;
mod clients;
mod command_line;
mod datagrams;
mod effects;
mod garbage;
mod relay;
mod repeatable;
mod started;
mod wire;
