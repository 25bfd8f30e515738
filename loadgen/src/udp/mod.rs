//! `loadgen udp`: numbered datagrams to whoever sends them back, each accounted for.
//!
//! In reading order: `flight` decides what each datagram that comes back is, `client` is
//! one socket with its numbers, `ledger` what is counted beside requests and answers;
//! `worker` sends and receives on one thread, hired by the crew that every load with
//! answers has; `summary` tells of it in the record.

mod client;
mod flight;
mod ledger;
mod summary;
mod worker;

use std::process::ExitCode;

use service::cli::USAGE;

pub(crate) use self::ledger::Ledger;
pub(crate) use self::summary::told;
pub(crate) use self::worker::Worker;
use crate::args::UdpArgs;
use crate::config::{Machine, UdpConfig, fresh_seed};
use crate::foo::carry_out;

/// Carries out the arguments.
pub(crate) fn run(args: &UdpArgs) -> ExitCode {
    let machine = Machine::look();
    match UdpConfig::new(args, machine, fresh_seed()) {
        Ok(UdpConfig { load, config }) => carry_out(&load, &config, machine, None),
        Err(error) => service::cli::exit(Err(error), USAGE),
    }
}
