//! What a load of statsd lines has of its own, and what it does not have.

use service::addr::HostPort;
use service::units::Size;

use super::{Fuzz, Load, Mode, Scenario, Server};

/// A key, and what is wrong with it.
type Refused = (&'static str, String);

/// The keys of a load that only statsd has, and whether each is there.
fn own_keys(load: &Load) -> [(&'static str, bool); 8] {
    [
        ("lines_per_datagram", load.lines_per_datagram.is_some()),
        ("keys", load.keys.is_some()),
        ("popularity", load.popularity.is_some()),
        ("types", load.types.is_some()),
        ("mtu", load.mtu.is_some()),
        ("burst", load.burst.is_some()),
        ("transport", load.transport.is_some()),
        ("max", load.max),
    ]
}

/// What of a load makes no sense for what it speaks.
///
/// # Errors
/// The key, and what is accepted.
pub(super) fn load(load: &Load) -> Result<(), Refused> {
    let own = own_keys(load).into_iter().find(|(_, is_there)| *is_there);
    if load.mode != Mode::Statsd {
        return match own {
            Some((key, _)) => Err((key, "belongs to mode = \"statsd\" only".to_owned())),
            None => Ok(()),
        };
    }
    let ways = [load.rate.is_some(), load.max, load.burst.is_some()];
    if load.closed || ways.into_iter().filter(|is_there| *is_there).count() != 1 {
        let said = "expected exactly one of rate, such as \"10k/s\", max = true and burst, such as \"20k@1s\"";
        return Err(("rate", said.to_owned()));
    }
    if load.requests_per_connection.is_some() {
        let said = "nobody answers a line: expected a mode that has requests".to_owned();
        return Err(("requests_per_connection", said));
    }
    if load.name.contains('.') {
        let said = "the lines of this client begin with it: expected none with a dot".to_owned();
        return Err(("name", said));
    }
    Ok(())
}

/// What of a fuzz client makes no sense for what it speaks.
///
/// # Errors
/// The key, and what is accepted.
pub(super) fn fuzz(fuzz: &Fuzz) -> Result<(), Refused> {
    match fuzz.mode {
        Mode::Statsd if fuzz.bytes.is_some() => {
            Err(("bytes", "datagrams go by rate and duration".to_owned()))
        }
        Mode::Statsd if fuzz.until_crash => {
            let said = "nobody answers a datagram: it cannot be told whether the target is gone";
            Err(("until_crash", said.to_owned()))
        }
        _ => Ok(()),
    }
}

/// What of the servers and of the proxy makes no sense together.
///
/// # Errors
/// The table and its number, the key, and what is accepted.
pub(super) fn servers(
    scenario: &Scenario,
) -> Result<(), (&'static str, usize, &'static str, String)> {
    let wanted = scenario.proxy.mode == Mode::Statsd;
    for (nth, upstream) in scenario.upstream.iter().enumerate() {
        if wanted != (upstream.mode == Server::Statsd) {
            let said = "a proxy of mode \"statsd\" has servers of mode \"statsd\" behind it, and no other has".to_owned();
            return Err(("upstream", nth, "mode", said));
        }
        let takes_datagrams = matches!(upstream.mode, Server::Statsd | Server::UdpEcho);
        if upstream.receive_buffer.is_some() && !takes_datagrams {
            let said = "belongs to mode = \"statsd\" and \"udp-echo\" only".to_owned();
            return Err(("upstream", nth, "receive_buffer", said));
        }
    }
    names(scenario, &scenario.proxy.nodes).map_err(|said| ("proxy", 0, "nodes", said))
}

/// Whether these are names of servers, and belong here at all.
pub(super) fn names(scenario: &Scenario, nodes: &[String]) -> Result<(), String> {
    if !nodes.is_empty() && scenario.proxy.mode != Mode::Statsd {
        return Err("belongs to [proxy] mode = \"statsd\" only".to_owned());
    }
    for name in nodes {
        if scenario.upstream_at(name).is_none() {
            let mut accepted = scenario.process_names();
            accepted.pop();
            let accepted = accepted.join(", ");
            return Err(format!("there is no {name:?}; accepted: {accepted}"));
        }
    }
    Ok(())
}

/// A server for lines, as `harness upstream statsd` is started beside `--listen`.
#[must_use]
pub fn server_flags(management: &str, receive_buffer: Option<Size>) -> Vec<String> {
    let mut flags = vec!["--management".to_owned(), management.to_owned()];
    if let Some(size) = receive_buffer {
        flags.extend(["--receive-buffer".to_owned(), size.to_string()]);
    }
    flags
}

/// A server in a configuration of JSON, as all proxies for statsd read it.
#[must_use]
pub fn node_entry(at: std::net::SocketAddr, admin: Option<std::net::SocketAddr>) -> String {
    let (host, port) = (at.ip(), at.port());
    let admin = admin.map_or(port, |admin| admin.port());
    format!("  {{\"host\": \"{host}\", \"port\": {port}, \"adminport\": {admin}}}")
}

/// A server as `proxy statsd --node` takes it.
#[must_use]
pub fn node_argument(at: std::net::SocketAddr, admin: Option<std::net::SocketAddr>) -> String {
    let at = HostPort::from(at);
    admin.map_or_else(|| at.to_string(), |admin| format!("{at}:{}", admin.port()))
}
