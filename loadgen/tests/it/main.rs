//! The load client against servers in this process, by its library and by its program.

mod bad_input;
mod check;
mod endings;
mod integrity;
mod latency;
mod outputs;
mod program;
mod server;
mod shards;
mod statsd;
mod tcp;
mod udp;
