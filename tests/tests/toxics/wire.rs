//! Every endpoint, status and error text, as the original's clients know them.

use serde_json::{Value, json};
use tests::ReservedPort;

use super::started::Toxics;

/// Asks and compares status and body, byte for byte.
fn expect(toxics: &Toxics, method: &str, path: &str, body: &str, status: u16, answer: &str) {
    let (got, _, text) = toxics.ask(method, path, body);
    assert_eq!(
        (got, text.as_str()),
        (status, answer),
        "{method} {path} {body}"
    );
}

fn error(status: u16, text: &str) -> String {
    format!("{}\n", json!({"error": text, "status": status}))
}

#[test]
fn a_link_from_its_making_to_its_end() {
    let toxics = Toxics::start();
    expect(&toxics, "GET", "/proxies", "", 200, "{}");
    let port = ReservedPort::take();
    let listen = port.addr();
    let link = json!({"name": "redis", "listen": listen, "upstream": "127.0.0.1:6379"});
    let up = format!(
        r#"{{"name":"redis","listen":"{listen}","upstream":"127.0.0.1:6379","enabled":true,"toxics":[]}}"#
    );
    expect(&toxics, "POST", "/proxies", &link.to_string(), 201, &up);
    expect(
        &toxics,
        "GET",
        "/proxies",
        "",
        200,
        &format!(r#"{{"redis":{up}}}"#),
    );
    expect(&toxics, "GET", "/proxies/redis", "", 200, &up);
    let again = error(409, "proxy already exists");
    expect(&toxics, "POST", "/proxies", &link.to_string(), 409, &again);
    let down = up.replace("true", "false");
    for method in ["POST", "PATCH"] {
        expect(
            &toxics,
            method,
            "/proxies/redis",
            r#"{"enabled":false}"#,
            200,
            &down,
        );
        expect(
            &toxics,
            method,
            "/proxies/redis",
            r#"{"enabled":true}"#,
            200,
            &up,
        );
    }
    let moved = up.replace("6379", "6380");
    let change = r#"{"upstream":"127.0.0.1:6380","toxics":null,"enabled":null}"#;
    expect(&toxics, "POST", "/proxies/redis", change, 200, &moved);
    expect(&toxics, "DELETE", "/proxies/redis", "", 204, "");
    let gone = error(404, "proxy not found");
    for (method, path) in [
        ("GET", "/proxies/redis"),
        ("DELETE", "/proxies/redis"),
        ("PATCH", "/proxies/redis"),
        ("GET", "/proxies/redis/toxics"),
        ("POST", "/proxies/redis/toxics"),
        ("GET", "/proxies/redis/toxics/x"),
        ("PATCH", "/proxies/redis/toxics/x"),
        ("DELETE", "/proxies/redis/toxics/x"),
    ] {
        expect(&toxics, method, path, "{}", 404, &gone);
    }
}

#[test]
fn a_toxic_from_its_making_to_its_end() {
    let toxics = Toxics::start();
    toxics.link("a", "127.0.0.1:1");
    let path = "/proxies/a/toxics";
    expect(&toxics, "GET", path, "", 200, "[]");
    let down = r#"{"attributes":{"latency":100,"jitter":0},"name":"latency_downstream","type":"latency","stream":"downstream","toxicity":1}"#;
    let body = r#"{"type":"latency","attributes":{"latency":100}}"#;
    expect(&toxics, "POST", path, body, 200, down);
    let up = r#"{"attributes":{"rate":10},"name":"slow","type":"bandwidth","stream":"upstream","toxicity":0.5}"#;
    let body = r#"{"name":"slow","type":"bandwidth","stream":"UPSTREAM","toxicity":0.5,"attributes":{"rate":10}}"#;
    expect(&toxics, "POST", path, body, 200, up);
    // Upstream first.
    expect(&toxics, "GET", path, "", 200, &format!("[{up},{down}]"));
    let exists = error(409, "toxic already exists");
    expect(&toxics, "POST", path, r#"{"type":"latency"}"#, 409, &exists);
    let one = "/proxies/a/toxics/latency_downstream";
    expect(&toxics, "GET", one, "", 200, down);
    let changed = down.replace("\"jitter\":0", "\"jitter\":7");
    let change = r#"{"attributes":{"jitter":7},"name":"other","stream":"upstream"}"#;
    expect(&toxics, "PATCH", one, change, 200, &changed);
    let spared = changed.replace("\"toxicity\":1", "\"toxicity\":0");
    expect(&toxics, "POST", one, r#"{"toxicity":0}"#, 200, &spared);
    expect(&toxics, "DELETE", one, "", 204, "");
    let gone = error(404, "toxic not found");
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        expect(&toxics, method, one, "{}", 404, &gone);
    }
    toxics.call("PATCH", "/proxies/a", &json!({"enabled": false}));
    expect(&toxics, "POST", "/reset", "", 204, "");
    let link = toxics.call("GET", "/proxies/a", &Value::Null);
    assert_eq!(
        (&link["enabled"], &link["toxics"]),
        (&json!(true), &json!([]))
    );
}

#[test]
fn bad_input_is_refused_and_the_server_stays_up() {
    let toxics = Toxics::start();
    toxics.link("a", "127.0.0.1:1");
    let cases = [
        ("/proxies", "", "bad request body: EOF"),
        ("/proxies", "{", "bad request body: unexpected EOF"),
        ("/proxies", "{}", "missing required field: name"),
        (
            "/proxies",
            r#"{"name":"b"}"#,
            "missing required field: upstream",
        ),
        (
            "/proxies/a/toxics",
            r#"{"type":"fever"}"#,
            "invalid toxic type",
        ),
        (
            "/proxies/a/toxics",
            r#"{"type":"latency","stream":"sideways"}"#,
            "stream was invalid, can be either upstream or downstream",
        ),
        (
            "/proxies/a/toxics",
            r#"{"type":"latency","attributes":{"latency":-5}}"#,
            "bad request body: latency: expected a whole number from 0 to 31536000000, got -5",
        ),
        (
            "/proxies/a/toxics",
            r#"{"type":"slicer","attributes":{"average_size":0}}"#,
            "bad request body: average_size: expected a whole number from 1 to 1073741824, got 0",
        ),
        (
            "/proxies/a/toxics",
            r#"{"type":"latency","toxicity":2}"#,
            "bad request body: toxicity: expected a number from 0 to 1, got 2",
        ),
    ];
    for (path, body, text) in cases {
        let (status, head, answer) = toxics.ask("POST", path, body);
        assert_eq!((status, answer), (400, error(400, text)), "{path} {body}");
        assert!(
            head.contains("content-type: text/plain; charset=utf-8"),
            "{head}"
        );
    }
    for garbage in [
        "\0\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "POST /proxies HTTP/1.1\r\n\r\n",
    ] {
        let _ = toxics.raw(garbage);
    }
    expect(&toxics, "GET", "/nothing", "", 404, "404 page not found\n");
    expect(&toxics, "GET", "/metrics", "", 404, "404 page not found\n");
    expect(&toxics, "PUT", "/proxies", "", 405, "");
    let browser =
        "GET /proxies HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/5.0\r\nConnection: close\r\n\r\n";
    let answer = toxics.raw(browser);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nUser agent not allowed\n"),
        "{answer}"
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    let toxics = Toxics::start();
    let listen = toxics.link("a", "127.0.0.1:1");
    let body = json!({"name": "b", "listen": listen, "upstream": "127.0.0.1:1"});
    let text = format!("listen tcp {listen}: bind: address already in use");
    expect(
        &toxics,
        "POST",
        "/proxies",
        &body.to_string(),
        500,
        &error(500, &text),
    );
    expect(
        &toxics,
        "GET",
        "/proxies/b",
        "",
        404,
        &error(404, "proxy not found"),
    );
}

#[test]
fn populate_makes_replaces_and_leaves() {
    let toxics = Toxics::start();
    let link = |name: &str, upstream: &str| {
        json!({"name": name, "listen": "127.0.0.1:0", "upstream": upstream,
            "toxics": [{"type": "noop"}]})
    };
    let list = json!([link("a", "127.0.0.1:1"), link("b", "127.0.0.1:1")]);
    let first = toxics.call("POST", "/populate", &list);
    assert_eq!(first["proxies"].as_array().map(Vec::len), Some(2));
    assert_eq!(first["proxies"][0]["toxics"][0]["name"], "noop_downstream");
    toxics.call("DELETE", "/proxies/a/toxics/noop_downstream", &Value::Null);
    let list = json!([link("a", "127.0.0.1:1"), link("b", "127.0.0.1:2")]);
    let second = toxics.call("POST", "/populate", &list);
    // The first is as it was, the second is new.
    assert_eq!(
        second["proxies"][0]["listen"],
        first["proxies"][0]["listen"]
    );
    assert_eq!(second["proxies"][0]["toxics"], json!([]));
    assert_eq!(second["proxies"][1]["upstream"], "127.0.0.1:2");
    let bad = json!([link("c", "127.0.0.1:1"), {"upstream": "127.0.0.1:1"}]);
    let answer =
        r#"{"error":"missing required field: name at proxy 2","status":400,"proxies":null}"#;
    expect(&toxics, "POST", "/populate", &bad.to_string(), 400, answer);
    expect(
        &toxics,
        "GET",
        "/proxies/c",
        "",
        404,
        &error(404, "proxy not found"),
    );
}

#[test]
fn version_and_metrics() {
    let toxics = Toxics::start_with(&["-proxy-metrics", "-runtime-metrics"]);
    let (status, _, text) = toxics.ask("GET", "/version", "");
    assert!(
        status == 200 && text.starts_with("{\"version\": \"2.12.0\""),
        "{text}"
    );
    let listen = toxics.link("a", "127.0.0.1:1");
    let (_, head, text) = toxics.ask("GET", "/metrics", "");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let line = format!(
        "toxiproxy_proxy_received_bytes_total{{direction=\"upstream\",listener=\"{listen}\",proxy=\"a\",upstream=\"127.0.0.1:1\"}} 0"
    );
    assert!(text.lines().any(|there| there == line), "{text}");
    assert!(text.contains("\nprocess_open_fds "), "{text}");
}
