//! What Prometheus is told, under the original's names where it has one.

use std::fmt::Write;

use crate::record::{DirectionBytes, LinkRecord, ToxicsRecord};

type Metric = (&'static str, &'static str, fn(&DirectionBytes) -> u64);

const METRICS: [Metric; 2] = [
    (
        "toxiproxy_proxy_received_bytes_total",
        "The total number of bytes received on a given proxy link in a given direction",
        |bytes| bytes.received,
    ),
    (
        "toxiproxy_proxy_sent_bytes_total",
        "The total number of bytes sent on a given proxy link in a given direction",
        |bytes| bytes.sent,
    ),
];

/// The traffic of all links, and what their toxics did.
pub(super) fn proxies(out: &mut String, record: &ToxicsRecord) {
    for (name, help, read) in METRICS {
        head(out, name, help, "counter");
        for (proxy, link) in &record.links {
            for (direction, bytes) in [
                ("downstream", &link.downstream_bytes),
                ("upstream", &link.upstream_bytes),
            ] {
                let labels = labels(proxy, link, direction);
                line(out, name, &labels, read(bytes));
            }
        }
    }
    let name = "harness_toxic_hits_total";
    head(
        out,
        name,
        "Decisions of a toxic that changed something",
        "counter",
    );
    for (proxy, link) in &record.links {
        for toxic in link
            .toxics
            .iter()
            .filter(|toxic| toxic.removed_ns.is_none())
        {
            let labels = [
                ("proxy", proxy.as_str()),
                ("stream", &toxic.stream),
                ("toxic", &toxic.name),
                ("type", &toxic.kind),
            ];
            line(out, name, &labels, toxic.counts.hits);
        }
    }
}

fn labels<'a>(proxy: &'a str, link: &'a LinkRecord, direction: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("direction", direction),
        ("listener", &link.listen),
        ("proxy", proxy),
        ("upstream", &link.upstream),
    ]
}

/// What the process uses.
pub(super) fn runtime(out: &mut String) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        value
            .and_then(|value| value.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count() as u64);
    let gauges = [
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            field("VmRSS:") * 1024,
        ),
        (
            "process_threads",
            "Number of OS threads.",
            field("Threads:"),
        ),
        ("process_open_fds", "Number of open file descriptors.", open),
    ];
    for (name, help, value) in gauges {
        head(out, name, help, "gauge");
        line(out, name, &[], value);
    }
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a text takes everything");
}

fn line(out: &mut String, name: &str, labels: &[(&str, &str)], value: u64) {
    let labels: Vec<String> = labels
        .iter()
        .map(|(label, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{label}=\"{}\"", value.replace('\n', "\\n"))
        })
        .collect();
    let labels = match labels.len() {
        0 => String::new(),
        _ => format!("{{{}}}", labels.join(",")),
    };
    writeln!(out, "{name}{labels} {value}").expect("a text takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_named_as_the_original_does() {
        let mut record = ToxicsRecord::default();
        let link = LinkRecord {
            listen: "127.0.0.1:1".into(),
            upstream: "127.0.0.1:2".into(),
            upstream_bytes: DirectionBytes {
                received: 7,
                sent: 5,
            },
            ..LinkRecord::default()
        };
        record.links.insert("a\"b".into(), link);
        let mut out = String::new();
        proxies(&mut out, &record);
        let expected = r#"toxiproxy_proxy_sent_bytes_total{direction="upstream",listener="127.0.0.1:1",proxy="a\"b",upstream="127.0.0.1:2"} 5"#;
        assert!(out.lines().any(|line| line == expected), "{out}");
    }
}
