//! Addresses as people type them: `:8002`, `localhost:8001`, `[::1]:80`.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A host and a port. An empty host means all interfaces for a listener and this
/// machine for a connection, as in Go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST:PORT, :PORT or [IPV6]:PORT with a port up to 65535, got {0:?}")]
pub struct AddrError(String);

impl FromStr for HostPort {
    type Err = AddrError;

    fn from_str(text: &str) -> Result<Self, AddrError> {
        let error = || AddrError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error());
        }
        let port = port.parse().map_err(|_| error())?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                let inner = inner.strip_suffix(']').ok_or_else(error)?;
                inner.parse::<Ipv6Addr>().map_err(|_| error())?;
                inner
            }
            None => host,
        };
        let bare_v6 = host.contains(':') && !text.starts_with('[');
        if bare_v6 || host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(error());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl From<SocketAddr> for HostPort {
    fn from(addr: SocketAddr) -> Self {
        Self {
            host: addr.ip().to_string(),
            port: addr.port(),
        }
    }
}

impl HostPort {
    /// The host as it was given: a name or an address, without brackets; may be empty.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where to listen, best first: every interface for an empty host, otherwise what
    /// the name resolves to, IPv4 first.
    ///
    /// # Errors
    /// That the name does not resolve.
    pub fn listen_candidates(&self) -> io::Result<Vec<SocketAddr>> {
        if self.host.is_empty() {
            let all = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
            return Ok(all
                .map(|ip: std::net::IpAddr| SocketAddr::new(ip, self.port))
                .to_vec());
        }
        let mut addrs = self.lookup()?;
        addrs.sort_by_key(SocketAddr::is_ipv6);
        Ok(addrs)
    }

    /// Where to connect to, best first.
    ///
    /// # Errors
    /// That the name does not resolve.
    pub fn connect_candidates(&self) -> io::Result<Vec<SocketAddr>> {
        let name = if self.host.is_empty() {
            "localhost"
        } else {
            &self.host
        };
        let mut addrs = Self {
            host: name.to_owned(),
            port: self.port,
        }
        .lookup()?;
        addrs.sort_by_key(SocketAddr::is_ipv6);
        Ok(addrs)
    }

    /// Whether every address that this resolves to is a loopback address.
    ///
    /// # Errors
    /// That the name does not resolve.
    pub fn is_loopback(&self) -> io::Result<bool> {
        Ok(self
            .connect_candidates()?
            .iter()
            .all(|addr| addr.ip().is_loopback()))
    }

    fn lookup(&self) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("cannot resolve {self}: {error}"))
            })?
            .collect();
        if found.is_empty() {
            let text = format!("cannot resolve {self}: no address");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(found)
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Opens a listener where `at` says, and tells where that is.
///
/// # Errors
/// Names the address and what the system said.
pub fn listen(at: &HostPort) -> io::Result<(std::os::fd::OwnedFd, SocketAddr)> {
    let mut last = None;
    for addr in at.listen_candidates()? {
        let opened = eventloop::net::listen(addr).and_then(|fd| {
            let bound = eventloop::net::local_addr(std::os::fd::AsFd::as_fd(&fd))?;
            Ok((fd, bound))
        });
        match opened {
            Ok(listener) => return Ok(listener),
            // A kernel without IPv6: the IPv4 wildcard is the next candidate. Any other
            // error stands, or a taken port would be dodged by way of the other family.
            Err(error)
                if error.kind() == io::ErrorKind::Unsupported
                    || error.raw_os_error()
                        == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
                    || error.kind() == io::ErrorKind::AddrNotAvailable =>
            {
                last = Some(error);
            }
            Err(error) => {
                return Err(io::Error::new(
                    error.kind(),
                    format!("cannot listen on {at}: {error}"),
                ));
            }
        }
    }
    let error = last.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound));
    Err(io::Error::new(
        error.kind(),
        format!("cannot listen on {at}: {error}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            ":8002",
            "localhost:8001",
            "127.0.0.1:0",
            "[::1]:80",
            "a-b.example:65535",
        ] {
            assert_eq!(good.parse::<HostPort>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "8002",
            "localhost",
            "localhost:",
            "h:65536",
            "h:-1",
            "::1:80",
            "[::1:80",
            "[x]:1",
            "a b:1",
            "http://h:1",
            "h:+1",
        ] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_empty_host_is_everywhere_to_listen_and_here_to_connect() {
        let addr: HostPort = ":80".parse().unwrap();
        assert!(
            addr.listen_candidates()
                .unwrap()
                .iter()
                .all(|a| a.ip().is_unspecified())
        );
        assert!(addr.is_loopback().unwrap());
    }
}
