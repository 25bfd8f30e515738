//! The proxy: `proxy foo` shields a Foo server, `proxy tcp` balances connections, `proxy
//! statsd` spreads metrics over servers.
//!
//! In reading order: `foo`, `tcp` and `statsd` are the modes, each with its command line and
//! what it tells of itself; `plane` moves the bytes of connections, for the first two.
//! Shared by them: `discovery` looks names up, `file` reads what users
//! name, `live` hands new settings to workers, `watch`
//! notices that a file has changed, `counters`, `prometheus` and `printer` are for
//! statistics, `allocations` counts memory, `shortage` tells our own errors from others'.
//!
//! It never injects faults and holds no code for tests.

mod allocations;
mod counters;
mod discovery;
mod file;
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
  proxy statsd -f config.json
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
    /// Spread statsd metrics over several servers, each metric always to the same one.
    Statsd(Box<statsd::StatsdArgs>),
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
        Ok(Args {
            mode: Mode::Statsd(args),
        }) => service::cli::exit(statsd::run(*args), 1),
        Err(code) => code,
    }
}
