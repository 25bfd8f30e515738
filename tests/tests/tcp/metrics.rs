//! SIGUSR1 and Prometheus.

use std::collections::BTreeMap;

use rustix::process::Signal;
use tests::{Program, eventually};

use crate::server::{Server, echoes, reach};
use crate::started::{connect, http, start};

/// What SIGUSR1 prints. The last name in the order is of `requests`, or later.
fn printed(proxy: &Program) -> BTreeMap<String, String> {
    let before = proxy.stdout().len();
    proxy.signal(Signal::USR1);
    let text = eventually("the metrics", || {
        let text = proxy.stdout().split_off(before);
        let whole = text.ends_with('\n') && text.lines().any(|line| line.starts_with("requests: "));
        whole.then_some(text)
    });
    let lines: Vec<_> = text.lines().collect();
    let pair = |line: &&str| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line}"));
        (name.to_owned(), value.to_owned())
    };
    let pairs: Vec<_> = lines.iter().map(pair).collect();
    assert!(pairs.is_sorted(), "{text}");
    pairs.into_iter().collect()
}

#[test]
fn sigusr1_prints_the_names_of_the_replaced_balancer_live() {
    let a = Server::start("a");
    for driver in ["io_uring", "epoll"] {
        let proxy = start(&["--driver", driver, a.addr()]);
        let (mut client, _) = reach(&proxy);
        echoes(&mut client);
        // The connection is still open.
        let name = |what: &str| format!("backend.{}.{what}", a.addr());
        let metrics = eventually("bytes of an open connection", || {
            let metrics = printed(&proxy);
            (metrics[&name("io.rx")] == "2").then_some(metrics)
        });
        for (metric, value) in [
            ("requests", "1"),
            ("errors", "0"),
            ("frontend.io.rx", "1"),
            ("frontend.io.tx", "2"),
            (&name("io.tx"), "1"),
            (&name("active_connections"), "1"),
            (&name("state"), "HEALTHY"),
            (&name("status"), "up"),
        ] {
            assert_eq!(metrics[metric], value, "{metric}: {metrics:#?}");
        }
    }
}

#[test]
fn prometheus_reads_everything() {
    let a = Server::start("a");
    let proxy = start(&[a.addr()]);
    let _held = reach(&proxy);
    let (head, text) = http(&proxy.socket("admin"), "GET /metrics HTTP/1.1");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let labels = format!("{{pool=\"default\",backend=\"{}\"", a.addr());
    for sample in [
        "proxy_tcp_connections_total 1".to_owned(),
        "proxy_tcp_connections_open 1".to_owned(),
        format!("proxy_tcp_backend_up{labels}}} 1"),
        format!("proxy_tcp_backend_active{labels}}} 1"),
        format!("proxy_tcp_backend_status{labels},status=\"up\"}} 1"),
        format!("proxy_tcp_backend_connect_seconds_bucket{labels},le=\"+Inf\"}} 1"),
        format!("proxy_tcp_backend_connect_seconds_count{labels}}} 1"),
    ] {
        assert!(
            text.lines().any(|line| line == sample),
            "{sample} is missing: {text}"
        );
    }
    let mut families = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let name = family.split(' ').next().unwrap();
            assert!(families.insert(name.to_owned()), "{name} twice");
        } else if !line.starts_with('#') {
            let (_, value) = line.rsplit_once(' ').expect("a sample");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn what_clients_do_wrong_counts_as_errors() {
    let a = Server::start("a");
    let proxy = start(&["--accept-proxy", "required", a.addr()]);
    let mut client = connect(&proxy);
    client.send("GET / HTTP/1.1\r\n\r\n");
    let _ = client.rest();
    let metrics = printed(&proxy);
    assert_eq!(metrics["errors"], "1", "{metrics:#?}");
    assert_eq!(metrics["errors.proxy_header"], "1", "{metrics:#?}");
}
