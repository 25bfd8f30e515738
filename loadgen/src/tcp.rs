//! `loadgen tcp`: from arguments to an exit code.

use std::process::ExitCode;

use service::cli::USAGE;

use crate::args::TcpArgs;
use crate::bulk;
use crate::config::{Machine, TcpConfig, fresh_seed};
use crate::foo::carry_out;

/// Carries out the arguments.
pub(crate) fn run(args: &TcpArgs) -> ExitCode {
    let machine = Machine::look();
    let TcpConfig { config, idle, bulk } = match TcpConfig::new(args, machine, fresh_seed()) {
        Ok(config) => config,
        Err(error) => return service::cli::exit(Err(error), USAGE),
    };
    match bulk {
        Some(bulk) => bulk::carry_out(&args.load, &config, &bulk, idle.as_ref()),
        None => carry_out(&args.load, &config, machine, idle.as_ref()),
    }
}
