//! The load client against servers in this process, by its library and by its program.

mod integrity;
mod latency;
mod program;
mod server;
mod unwatched;
