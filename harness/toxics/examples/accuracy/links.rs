//! Links of this process, steered as the API steers them.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use toxics::control::Control;
use toxics::control::body;
use toxics::record::LinkRecord;
use toxics::worker::Workers;

/// What the sockets of the measurement may hold: what they drop is not the link's doing.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// All links.
pub(crate) struct Links {
    runtime: Runtime,
    control: Control,
    made: AtomicU64,
}

/// What a link carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Tcp,
    Udp,
}

impl Over {
    pub(crate) const BOTH: [Self; 2] = [Self::Tcp, Self::Udp];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A link, by name and address.
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) at: String,
}

impl Links {
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = Workers::start(threads, None, runtime.handle()).expect("threads");
        Self {
            runtime,
            control: Control::new(7, workers),
            made: AtomicU64::new(0),
        }
    }

    /// Makes a link with one toxic.
    pub(crate) fn link(&self, over: Over, upstream: &str, toxic: &Value) -> Link {
        let name = format!("link-{}", self.made.fetch_add(1, Relaxed));
        let wanted = json!({"name": name, "upstream": upstream, "protocol": over.name(),
            "toxics": [toxic]});
        let wanted = body::new_link(&wanted, None).expect("a link");
        let made = self.runtime.block_on(self.control.create(wanted));
        let at = made.expect("it is made")["listen"]
            .as_str()
            .map(str::to_owned);
        Link {
            name,
            at: at.expect("an address"),
        }
    }

    /// What a link did.
    pub(crate) fn record(&self, link: &Link) -> LinkRecord {
        let mut record = self.runtime.block_on(self.control.record());
        record.links.remove(&link.name).expect("it is there")
    }

    pub(crate) fn delete(&self, link: &Link) {
        let deleted = self.runtime.block_on(self.control.delete(&link.name));
        deleted.expect("it is there");
    }
}

/// A UDP socket that drops nothing.
pub(crate) fn udp() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES)
        .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, BUFFER_BYTES))
        .expect("a socket");
    socket
}

/// The two ends of a connection through a link.
pub(crate) fn connect(link: &Link, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(&link.at).expect("a link");
    let (server, _) = listener.accept().expect("a connection");
    for end in [&client, &server] {
        end.set_nodelay(true).expect("a socket");
    }
    (client, server)
}
