//! A node as people type it: `HOST:PORT[:ADMINPORT]`.

use std::str::FromStr;

/// Where a node is: what it receives lines on, and where it says how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NodeAt {
    /// A name or an address, without brackets.
    pub(super) host: String,
    /// Receives lines.
    pub(super) port: u16,
    /// Answers `health`.
    pub(super) admin_port: Option<u16>,
}

impl NodeAt {
    /// Its place on the ring comes from this text, which is that of the original: an IPv6
    /// address has no brackets there.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for NodeAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "expected HOST:PORT[:ADMINPORT], such as 10.0.0.1:8125:8126 or \
                 [::1]:8125:8126, with ports from 1 to 65535, got {text:?}"
            )
        };
        let (host, ports) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, ports) = rest.split_once("]:").ok_or_else(error)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| error())?;
                (host, ports)
            }
            None => text.split_once(':').ok_or_else(error)?,
        };
        let (port, admin_port) = match ports.split_once(':') {
            Some((port, admin_port)) => (port, Some(admin_port)),
            None => (ports, None),
        };
        let number = |digits: &str| -> Result<u16, String> {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse().ok().filter(|port| plain && *port > 0);
            number.ok_or_else(error)
        };
        let strange = |c: char| c.is_whitespace() || c.is_control() || c == '/';
        if host.is_empty() || host.contains(strange) {
            return Err(error());
        }
        Ok(Self {
            host: host.to_owned(),
            port: number(port)?,
            admin_port: admin_port.map(number).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes() {
        for (text, name, admin_port) in [
            ("a:1", "a:1", None),
            ("10.0.0.1:8125:8126", "10.0.0.1:8125", Some(8126)),
            ("[::1]:65535:1", "::1:65535", Some(1)),
            ("[::1]:8125", "::1:8125", None),
        ] {
            let node: NodeAt = text.parse().unwrap();
            assert_eq!((node.name().as_str(), node.admin_port), (name, admin_port));
        }
        for bad in [
            "", "a", "a:", ":1", "a:0", "a:65536", "a:1:", "a:1:0", "a:1:2:3", "a:+1", "[::1]",
            "[::1:1", "[x]:1", "::1:1", "a b:1", "udp://a:1",
        ] {
            let error = bad.parse::<NodeAt>().unwrap_err();
            assert!(error.contains("HOST:PORT[:ADMINPORT]"), "{bad}: {error}");
        }
    }
}
