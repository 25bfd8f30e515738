//! The command line: serve links, or talk to a server of them.

mod client;
mod order;
mod serve;
mod show;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Serve links with faults, and a control API that Toxiproxy's clients speak; or, with a
/// command, steer such a server.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = false, after_help = EXAMPLES)]
struct Cli {
    /// Serve the API on this address, or talk to one there; a port or URL may be part of it
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1", global = true)]
    host: String,

    /// Port of the API
    #[arg(long, value_name = "PORT", default_value_t = 8474, global = true)]
    port: u16,

    #[command(flatten)]
    serve: serve::Serve,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all links
    List,
    /// List every kind of toxic, with its attributes
    Kinds,
    Create(order::Create),
    /// Take a link down if it is up, and up if it is down
    Toggle {
        /// Name of the link
        name: String,
    },
    /// Show a link, its toxics and what they did
    Inspect {
        /// Name of the link
        name: String,
    },
    /// Delete a link
    Delete {
        /// Name of the link
        name: String,
    },
    /// Add, update or remove a toxic
    #[command(subcommand)]
    Toxic(order::ToxicCommand),
    /// Have every link up, without toxics
    Reset,
}

const EXAMPLES: &str = "\
Examples:
  Serve in the place of toxiproxy-server:
    harness toxics --port 8474 --config toxiproxy.json
  One link, at once:
    harness toxics --listen 127.0.0.1:26379 --upstream 127.0.0.1:6379
  A link in front of a server, and 100 ms in each answer:
    harness toxics create redis --listen 127.0.0.1:26379 --upstream 127.0.0.1:6379
    harness toxics toxic add redis --type latency -a latency=100 -a jitter=20
    harness toxics inspect redis
    harness toxics toxic remove redis latency_downstream
  What a link costs, beside HAProxy and going direct:
    harness bench --mode tcp --work bulk --proxy haproxy \
      --proxy 'cmd:harness toxics --port 0 --listen {listen} --upstream {forward}'
  A link for datagrams that loses one in a hundred:
    harness toxics create statsd --udp --listen 127.0.0.1:28125 --upstream 127.0.0.1:8125
    harness toxics toxic add statsd --type loss --stream upstream -a loss_rate=0.01

SIGUSR1 writes what every link and toxic did as one JSON line to stdout, SIGTERM and SIGINT
do so and end.

Exit codes: 0 done, 1 refused by the server or not reachable, 2 usage error, 5 cannot serve.";

/// The exit code when it cannot serve.
const CANNOT_SERVE: u8 = 5;

/// Runs with these arguments.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let cli = match service::cli::parse::<Cli>(args) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let place = match client::Place::parse(&cli.host, cli.port) {
        Ok(place) => place,
        Err(error) => return service::cli::exit(Err(error), service::cli::USAGE),
    };
    match cli.command {
        None => match cli.serve.prepare(&place) {
            Ok(prepared) => service::cli::exit(serve::run(prepared), CANNOT_SERVE),
            Err(error) => service::cli::exit(Err(error), service::cli::USAGE),
        },
        Some(Command::Kinds) => show::print(&show::kinds()),
        Some(command) => match command.order() {
            Ok(order) => service::cli::exit(order.carry_out(&place), 1),
            Err(error) => service::cli::exit(Err(error), service::cli::USAGE),
        },
    }
}

impl Command {
    /// What to ask the server for.
    fn order(self) -> Result<order::Order, String> {
        Ok(match self {
            Self::List | Self::Kinds => order::Order::List,
            Self::Create(create) => create.order(),
            Self::Toggle { name } => order::Order::Toggle(name),
            Self::Inspect { name } => order::Order::Inspect(name),
            Self::Delete { name } => order::Order::Delete(name),
            Self::Toxic(command) => command.order()?,
            Self::Reset => order::Order::Reset,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
