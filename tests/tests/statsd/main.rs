//! `proxy statsd`, end to end: real processes, real sockets, nodes that the tests play.

mod command_line;
mod garbage;
mod health;
mod management;
mod names;
mod node;
mod operation;
mod packing;
mod reload;
mod remap;
mod route;
mod routing;
mod started;
mod streams;
