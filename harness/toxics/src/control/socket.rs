//! Where links listen, with errors worded as Go's.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;

use service::addr::HostPort;

use crate::control::proxy::protocol;
use crate::error::ApiError;
use crate::item::Medium;

/// Where a link listens that was not told where.
const ANYWHERE: &str = "127.0.0.1:0";

/// What the buffers of a UDP socket are asked to hold: a burst that comes while its worker
/// does something else.
const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// An address to listen on; none said is any free port of the loopback interface.
///
/// # Errors
/// That it is no address.
pub fn parse(listen: &str) -> Result<HostPort, ApiError> {
    let text = if listen.is_empty() { ANYWHERE } else { listen };
    text.parse()
        .map_err(|error| ApiError::BadBody(format!("listen: {error}")))
}

/// Opens the socket of a link, and tells where it is bound.
///
/// # Errors
/// What the system said.
pub fn open(medium: Medium, listen: &str) -> Result<(OwnedFd, SocketAddr), ApiError> {
    let at = parse(listen)?;
    let failed = |error: &io::Error| {
        let (protocol, text) = (protocol(medium), lower(error, &at));
        ApiError::System(format!("listen {protocol} {at}: bind: {text}"))
    };
    match medium {
        Medium::Stream => service::addr::listen(&at).map_err(|error| failed(&error)),
        Medium::Datagram => {
            let candidates = at.listen_candidates().map_err(|error| failed(&error))?;
            let socket = UdpSocket::bind(&candidates[..]).map_err(|error| failed(&error))?;
            socket
                .set_nonblocking(true)
                .map_err(|error| failed(&error))?;
            // A smaller buffer works as well.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, UDP_BUFFER_BYTES);
            let bound = socket.local_addr().map_err(|error| failed(&error))?;
            Ok((socket.into(), bound))
        }
    }
}

/// What the system said, as Go words it: "address already in use".
fn lower(error: &io::Error, at: &HostPort) -> String {
    let text = error.to_string();
    let said = text.strip_prefix(&format!("cannot listen on {at}: "));
    let said = said.unwrap_or(&text).split(" (os error").next();
    said.unwrap_or_default().to_lowercase()
}

/// The addresses of a name.
///
/// # Errors
/// That it has none.
pub async fn look_up(upstream: HostPort) -> Result<Vec<SocketAddr>, ApiError> {
    let looked = tokio::task::spawn_blocking(move || upstream.connect_candidates()).await;
    let found = looked.map_err(|error| ApiError::System(error.to_string()))?;
    found.map_err(|error| ApiError::System(error.to_string()))
}
