//! The sockets of a sink: datagrams and connections on one port, management on another.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use eventloop::datagram;
use service::addr::{self, HostPort};

/// How often another port is tried when any will do and the one that was free for
/// connections is not for datagrams.
const PORT_ATTEMPTS: usize = 16;

/// Open sockets.
#[derive(Debug)]
pub struct Sockets {
    /// Takes datagrams.
    pub datagrams: OwnedFd,
    /// Takes connections, on the same address.
    pub lines: OwnedFd,
    /// Takes connections for management.
    pub management: OwnedFd,
    /// Where the first two are.
    pub at: SocketAddr,
    /// Where management is.
    pub management_at: SocketAddr,
    /// Room for datagrams that wait, as the kernel counts it.
    pub receive_buffer_bytes: usize,
}

impl Sockets {
    /// Opens them, with so much room for datagrams that wait: beyond what the system
    /// allows everybody if we may.
    ///
    /// # Errors
    /// Names the address and what the system said.
    pub fn open(listen: &HostPort, management: &HostPort, room: usize) -> io::Result<Self> {
        let (lines, at, datagrams) = pair(listen)?;
        let (management, management_at) = addr::listen(management)?;
        let receive_buffer_bytes = datagram::set_receive_buffer(&datagrams, room)?;
        Ok(Self {
            datagrams,
            lines,
            management,
            at,
            management_at,
            receive_buffer_bytes,
        })
    }
}

/// Both sockets of the port for lines.
fn pair(listen: &HostPort) -> io::Result<(OwnedFd, SocketAddr, OwnedFd)> {
    for attempt in 1.. {
        let (lines, at) = addr::listen(listen)?;
        match datagram::bind(at, false) {
            Ok(datagrams) => return Ok((lines, at, datagrams)),
            Err(error) => {
                let is_taken = error.kind() == ErrorKind::AddrInUse;
                if listen.port() != 0 || !is_taken || attempt == PORT_ATTEMPTS {
                    let text = format!("cannot receive datagrams on {at}: {error}");
                    return Err(io::Error::new(error.kind(), text));
                }
            }
        }
    }
    unreachable!("the last attempt returns")
}
