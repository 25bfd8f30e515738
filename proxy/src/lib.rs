//! The proxy: `proxy foo` shields a Foo server.
//!
//! In reading order: `foo` is the mode's command line, its shield and its statistics;
//! `plane` moves the bytes, for every mode.
//!
//! It never injects faults and holds no code for tests.

mod allocations;
mod counters;
mod discovery;
mod foo;
mod live;
mod plane;
mod printer;
mod prometheus;
mod shortage;
mod statsd;
mod tcp;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Proxies that sit between arbitrary clients and the servers that must survive them.
#[derive(Debug, Parser)]
#[command(
    name = "proxy",
    version,
    after_help = "\
Examples:
  proxy foo --listen :8002 --forward localhost:8001
  proxy foo -listen=:8002 -forward=localhost:8001     the same, Go style
  proxy tcp --listen :4000 localhost:8001 localhost:8002
  proxy tcp --help                                    all about one mode"
)]
struct Args {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Relay the Foo protocol, keep malformed lines from the server, count messages.
    Foo(Box<foo::FooArgs>),
    /// Balance TCP connections over backends, and keep those away that are down.
    Tcp(Box<tcp::TcpArgs>),
}

/// Runs the proxy with this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os().collect())
}

/// Runs the proxy with these arguments, the first of which is its name.
#[must_use]
pub fn run(args: Vec<OsString>) -> ExitCode {
    match service::cli::parse::<Args>(args) {
        Ok(Args {
            mode: Mode::Foo(args),
        }) => service::cli::exit(foo::run(*args), 1),
        Ok(Args {
            mode: Mode::Tcp(args),
        }) => service::cli::exit(tcp::run(*args), 1),
        Err(code) => code,
    }
}
