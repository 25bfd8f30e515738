//! Starting the thread, asking it for its counts, stopping it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use eventloop::datagram;
use service::addr::HostPort;

use crate::datagrams;
use crate::defect::Defects;
use crate::process::Process;
use crate::record::UpstreamRecord;
use crate::server;
use crate::solo::Solo;
use crate::udp::worker::{Counts, Worker};

/// What an echo is like.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What it is called.
    pub name: Option<String>,
    /// Where the choice of wrong answers starts.
    pub seed: u64,
    /// What is wrong with it: of the defects, those that the
    /// [catalogue](crate::defect::catalogue) has for `udp-echo`.
    pub defects: Defects,
}

/// An open socket for datagrams.
#[derive(Debug)]
pub struct Socket {
    /// The socket.
    pub fd: OwnedFd,
    /// Where it is.
    pub at: SocketAddr,
    /// Room for datagrams that wait, as the kernel counts it.
    pub receive_buffer_bytes: usize,
}

impl Socket {
    /// Opens it, with so much room for datagrams that wait: beyond what the system allows
    /// everybody if we may.
    ///
    /// # Errors
    /// Names the address and what the system said.
    pub fn open(listen: &HostPort, room: usize) -> io::Result<Self> {
        let cannot = |error: &io::Error| {
            let text = format!("cannot receive datagrams on {listen}: {error}");
            io::Error::new(error.kind(), text)
        };
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for at in listen.listen_candidates()? {
            match datagrams::bind(at) {
                Ok((fd, at)) => {
                    return Ok(Self {
                        at,
                        receive_buffer_bytes: datagram::set_receive_buffer(&fd, room)?,
                        fd,
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(cannot(&last))
    }
}

/// A running echo.
#[derive(Debug)]
pub struct Server {
    solo: Solo<Counts>,
    process: Arc<Process>,
}

impl Server {
    /// Serves on this socket. Planted defects that end or hang the process do so to the
    /// caller's.
    ///
    /// # Errors
    /// That a poller, a socket or a thread could not be made.
    pub fn start(socket: Socket, config: Config) -> io::Result<Self> {
        let process = Arc::new(Process::new(server::Config {
            name: config.name,
            seed: config.seed,
            defects: config.defects,
            ..server::Config::default()
        }));
        let ours = Arc::clone(&process);
        let solo = Solo::start("udp-echo", |asked| Worker::new(socket, ours, asked))?;
        Ok(Self { solo, process })
    }

    /// Whether the planted hang has come.
    #[must_use]
    pub fn is_hung(&self) -> bool {
        self.process.is_hung()
    }

    /// The counts, with all that waits in the socket at this moment.
    #[must_use]
    pub fn record(&self) -> UpstreamRecord {
        self.solo.counts().told()
    }

    /// Closes the port, answers what is waiting, and ends the thread.
    #[must_use]
    pub fn stop(self) -> UpstreamRecord {
        self.process.stop();
        self.solo.stop().told()
    }
}
