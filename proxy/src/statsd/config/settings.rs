//! The keys of a configuration.

use jsonc_parser::ast::{Object, ObjectPropName, Value};
use jsonc_parser::common::Ranged;

use balance::hashring::MAX_NODES;

use super::source::Source;
use super::values::Entry;
use super::{ConfigError, File, NodeAt};

/// What one of `nodes` is.
const NODE: &str = "{host: \"HOST\", port: 1 to 65535, adminport: 1 to 65535}";

/// Reads all that a file says.
pub(super) fn read(source: &Source) -> Result<File, ConfigError> {
    let object = source.object()?;
    let mut file = File::default();
    let mut seen = Vec::new();
    // What the second of two keys for one thing says, if the first is there as well.
    let (mut address, mut udp_version) = (None, None);
    for property in &object.properties {
        let entry = Entry {
            source,
            key: property.name.as_str(),
            value: &property.value,
        };
        let key = entry.key.to_ascii_lowercase();
        let line = source.line(at(&property.name));
        if !KEYS.contains(&key.as_str()) {
            file.unknown.push((entry.key.to_owned(), line));
            continue;
        }
        if seen.contains(&key) {
            file.repeated.push((entry.key.to_owned(), line));
        }
        match key.as_str() {
            _ if entry.is_null() => {}
            "nodes" => file.nodes = nodes(&entry, &mut file.unknown)?,
            "host" => file.host = Some(entry.host()?),
            "address" => address = Some(entry.host()?),
            "port" => file.port = Some(entry.port()?),
            "mgmt_address" | "managementaddress" => file.management_address = Some(entry.host()?),
            "mgmt_port" | "managementport" => file.management_port = Some(entry.port()?),
            "checkinterval" => file.check_interval = entry.millis()?,
            "cachesize" => file.cache_size = Some(entry.size()?),
            "forkcount" => file.threads = entry.threads()?,
            "server" => file.server = Some(entry.server()?),
            "address_ipv6" => file.ipv6 = Some(entry.flag()?),
            "udp_version" => udp_version = Some(entry.udp_version()?),
            "automaticconfigreload" => file.automatic_reload = Some(entry.flag()?),
            _ => {}
        }
        seen.push(key);
    }
    // `address` is what the original's servers listen on, whatever `host` says; its
    // `udp_version` is only named in the example.
    file.host = address.or(file.host);
    file.ipv6 = file.ipv6.or(udp_version);
    Ok(file)
}

/// All keys that the two proxies know, in small letters. Without effect here: `log`, for
/// logs go to stderr; and `deleteIdleStats`, which statsd's documents ask for in one breath
/// with the proxy's configuration, but is the backends'.
const KEYS: [&str; 17] = [
    "nodes",
    "host",
    "address",
    "port",
    "mgmt_address",
    "managementaddress",
    "mgmt_port",
    "managementport",
    "checkinterval",
    "cachesize",
    "forkcount",
    "server",
    "address_ipv6",
    "udp_version",
    "automaticconfigreload",
    "log",
    "deleteidlestats",
];

fn nodes(
    entry: &Entry<'_>,
    unknown: &mut Vec<(String, usize)>,
) -> Result<Vec<NodeAt>, ConfigError> {
    let Value::Array(array) = entry.value else {
        return Err(entry.not(&format!("an array of {NODE}")));
    };
    if array.elements.len() > MAX_NODES {
        return Err(entry.not(&format!("an array of up to {MAX_NODES} nodes")));
    }
    let mut lines = std::collections::HashMap::new();
    let mut nodes = Vec::with_capacity(array.elements.len());
    for (nth, value) in array.elements.iter().enumerate() {
        let key = format!("{}[{nth}]", entry.key);
        let entry = Entry {
            key: &key,
            value,
            ..*entry
        };
        let Value::Object(object) = value else {
            return Err(entry.not(NODE));
        };
        let node = node(&entry, object, unknown)?;
        let start = object.range.start;
        if let Some(first) = lines.insert(node.name(), node.line) {
            let name = node.name();
            let what =
                format!("{name} is there twice, first on line {first}; accepted is each node once");
            return Err(entry.source.wrong(start, &key, &what));
        }
        nodes.push(node);
    }
    Ok(nodes)
}

fn node(
    entry: &Entry<'_>,
    object: &Object<'_>,
    unknown: &mut Vec<(String, usize)>,
) -> Result<NodeAt, ConfigError> {
    let source = entry.source;
    let (mut host, mut port, mut admin_port) = (None, None, None);
    for property in &object.properties {
        let key = format!("{}.{}", entry.key, property.name.as_str());
        let entry = Entry {
            source,
            key: &key,
            value: &property.value,
        };
        match property.name.as_str().to_ascii_lowercase().as_str() {
            "host" | "port" | "adminport" if entry.is_null() => {}
            "host" => host = Some(entry.host()?),
            "port" => port = Some(entry.port_there()?),
            "adminport" => admin_port = Some(entry.port_there()?),
            _ => unknown.push((key.clone(), source.line(at(&property.name)))),
        }
    }
    let start = object.range.start;
    let missing = |name: &str| {
        let key = format!("{}.{name}", entry.key);
        source.wrong(start, &key, &format!("is missing; accepted is {NODE}"))
    };
    Ok(NodeAt {
        host: host.ok_or_else(|| missing("host"))?,
        port: port.ok_or_else(|| missing("port"))?,
        admin_port,
        line: source.line(start),
    })
}

/// Where a key stands.
fn at(name: &ObjectPropName<'_>) -> usize {
    name.range().start
}
