//! The command line of the echo for datagrams.

use clap::Args;
use service::addr::HostPort;
use service::logging::LogLevel;
use service::ready::InheritedFd;
use service::units::Size;

use crate::args::name;
use crate::defect::{Defect, Defects};
use crate::examples;
use crate::udp::server::Config;

/// Send every datagram back to where it came from.
///
/// Datagrams of "loadgen udp" are numbered: how many of each of its sockets have come,
/// how many twice, how many late, and how many were damaged is in the record, so that what
/// was lost on the way here can be told from what was lost on the way back. SIGUSR1 writes
/// the counts as one JSON line to stdout; SIGTERM and SIGINT close the port, answer what
/// is waiting, and do so too.
#[derive(Args, Debug)]
#[command(after_help = examples::udp_echo())]
pub(crate) struct UdpEcho {
    /// Take datagrams on this address; ":8001" is all interfaces, port 0 any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8001")]
    pub(crate) listen: HostPort,

    /// Ask the kernel for so much room for datagrams that wait; root gets more than
    /// net.core.rmem_max
    #[arg(long, value_name = "SIZE", default_value = "8MiB")]
    pub(crate) receive_buffer: Size,

    /// Plant a defect; may be given several times, see below
    #[arg(long = "defect", value_name = "DEFECT")]
    defects: Vec<Defect>,

    /// Choose wrong replies by this seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Call the server this in its record and its log, to tell several apart
    #[arg(long, value_name = "NAME", value_parser = name)]
    name: Option<String>,

    /// Announce the socket with one JSON line on this open descriptor
    #[arg(long, value_name = "FD")]
    pub(crate) ready_fd: Option<InheritedFd>,

    /// Log this much to stderr
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    pub(crate) log_level: LogLevel,
}

impl UdpEcho {
    /// What it is like.
    ///
    /// # Errors
    /// That a defect makes no sense for it, and which do.
    pub(crate) fn config(&self) -> Result<Config, String> {
        for defect in &self.defects {
            defect.suits("udp-echo")?;
        }
        Ok(Config {
            name: self.name.clone(),
            seed: self.seed,
            defects: Defects::new(&self.defects),
        })
    }
}
