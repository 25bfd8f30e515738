//! A node: where it takes lines, and where it answers how it is.

use std::str::FromStr;

use super::values::plain_host;

/// A node as it is configured: on the command line, `HOST:PORT[:ADMINPORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct NodeAt {
    /// A name or an address, without brackets.
    pub(in super::super) host: String,
    /// Where it takes lines.
    pub(in super::super) port: u16,
    /// Where it answers health checks; without, there are none.
    pub(in super::super) admin_port: Option<u16>,
    /// The line of the file that it begins on, from 1; 0 for one from the command line.
    pub(in super::super) line: usize,
}

impl NodeAt {
    /// The node's name on the ring. This is the original's text, in which an IPv6 address
    /// has no brackets.
    pub(in super::super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for NodeAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            format!(
                "expected HOST:PORT[:ADMINPORT], such as 10.0.0.1:8125:8126 or \
                 [::1]:8125:8126, with ports from 1 to 65535, got {text:?}"
            )
        })
    }
}

fn parse(text: &str) -> Option<NodeAt> {
    let host_end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find(':')?
    };
    let (host, ports) = text.split_at(host_end);
    let (port, admin_port) = match ports.strip_prefix(':')?.split_once(':') {
        Some((port, admin_port)) => (port, Some(number(admin_port)?)),
        None => (&ports[1..], None),
    };
    Some(NodeAt {
        host: plain_host(host)?,
        port: number(port)?,
        admin_port,
        line: 0,
    })
}

/// A port that can be sent to.
fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| plain && *port > 0)
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
            "",
            "a",
            "a:",
            ":1",
            "a:0",
            "a:65536",
            "a:1:",
            "a:1:0",
            "a:1:2:3",
            "a:+1",
            "[::1]",
            "[::1:1",
            "[x]:1",
            "::1:1",
            "a b:1",
            "udp://a:1",
        ] {
            let error = bad.parse::<NodeAt>().unwrap_err();
            assert!(error.contains("HOST:PORT[:ADMINPORT]"), "{bad}: {error}");
        }
    }
}
