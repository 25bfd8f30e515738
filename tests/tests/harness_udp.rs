//! The harness on relays of datagrams: nginx and Envoy, none at all, and such as lose,
//! double or die.

use std::net::UdpSocket;

use serde_json::Value;
use tests::Program;
use tests::scenario::Run;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const RELAY: &str = env!("CARGO_BIN_EXE_test-datagram-relay");

/// Servers, and 2,000 datagrams a second there and back for so long.
fn scenario(servers: usize, duration: &str, more: &str) -> String {
    let servers = "[[upstream]]\nmode = \"udp-echo\"\n".repeat(servers);
    format!(
        r#"
        {servers}
        [proxy]
        mode = "udp"

        [[load]]
        mode = "udp"
        rate = "2k/s"
        connections = 8
        warmup = "0"
        duration = "{duration}"

        {more}
        "#
    )
}

/// That every datagram comes back, once and as it was.
const ALL: &str = r#"
    [[expect]]
    load = "failed = 0"

    [[expect]]
    load = "unanswered = 0"

    [[expect]]
    load = "duplicated = 0"
"#;

/// A relay with this defect, as `--proxy` takes it.
fn relay(defect: &str) -> String {
    format!("cmd:{RELAY} --listen {{listen}} --forward {{forward}} {defect}")
}

fn block(run: &Run) -> Value {
    run.record()["scenarios"][0]["blocks"][0].clone()
}

/// Datagrams of the load that the servers of a block have seen, each once, and those that
/// the load has sent.
fn seen_and_sent(block: &Value) -> (u64, u64) {
    let udp = &block["loads"][0]["record"]["udp"];
    let run = udp["run"].as_str().expect("a run");
    let more = block["more_upstreams"].as_array().into_iter().flatten();
    let clients = std::iter::once(&block["upstream"])
        .chain(more)
        .filter_map(|server| server["counts"]["udp"]["clients"].as_object());
    let seen = clients
        .flatten()
        .filter(|(name, _)| name.starts_with(run))
        .filter_map(|(_, client)| client["distinct"].as_u64());
    (seen.sum(), udp["sent"].as_u64().expect("a count"))
}

/// A run in which every datagram must come back over `proxy`.
fn expect_sound(servers: usize, proxy: &str) -> Run {
    let text = scenario(servers, "1s", ALL);
    let run = Run::of_text(HARNESS, &text, &["--proxy", proxy, "--lenient"]);
    run.expect_code(0).expect_text("0 failed + 0 unanswered");
    let block = block(&run);
    let (seen, sent) = seen_and_sent(&block);
    assert_eq!(seen, sent, "{}", run.stdout);
    assert!(sent >= 1_900, "{sent}");
    run
}

/// Processes of both roles have answered every time.
fn expect_answers(run: &Run, role: &str) {
    let probes = block(run)[role]["probes"].clone();
    let probes = probes.as_array().expect("probes");
    let answered = |probe: &Value| probe["outcome"] == "answered";
    assert!(
        probes.len() > 2 && probes.iter().all(answered),
        "{probes:?}"
    );
}

#[test]
fn without_a_proxy_every_datagram_comes_back() {
    let text = scenario(1, "1s", ALL);
    // If nothing is said of a proxy there is none.
    let run = Run::of_text(HARNESS, &text, &["--lenient"]);
    run.expect_code(0).expect_text("direct");
    let (seen, sent) = seen_and_sent(&block(&run));
    assert_eq!(seen, sent);
    expect_answers(&run, "upstream");
}

#[test]
fn a_command_line_relays_datagrams() {
    let run = expect_sound(1, &relay(""));
    expect_answers(&run, "proxy");
}

#[test]
fn nginx_relays_datagrams() {
    if tests::is_installed("nginx") {
        expect_answers(&expect_sound(1, "nginx"), "proxy");
    }
}

#[test]
fn nginx_spreads_clients_over_servers() {
    if !tests::is_installed("nginx") {
        return;
    }
    let block = block(&expect_sound(2, "nginx"));
    for server in [&block["upstream"], &block["more_upstreams"][0]] {
        let datagrams = &server["counts"]["udp"]["datagrams"];
        assert!(datagrams.as_u64() > Some(100), "{datagrams}");
    }
}

/// Datagrams of one size leave in pieces that the kernel may keep together: a relay must
/// not take them for one.
#[test]
fn envoy_relays_datagrams() {
    if tests::is_installed("envoy") {
        expect_answers(&expect_sound(1, "envoy"), "proxy");
    }
}

#[test]
fn long_datagrams_are_relayed_whole() {
    let text = scenario(1, "1s", ALL).replace(
        "rate = \"2k/s\"",
        "rate = \"200/s\"\npayload = \"32-30000\"",
    );
    for proxy in ["direct", "nginx", "envoy"] {
        if proxy == "direct" || tests::is_installed(proxy) {
            let run = Run::of_text(HARNESS, &text, &["--proxy", proxy, "--lenient"]);
            run.expect_code(0);
        }
    }
}

#[test]
fn a_relay_that_loses_answers_fails_for_it() {
    let text = scenario(1, "1s", ALL);
    let relay = relay("--drop-every 100");
    let run = Run::of_text(HARNESS, &text, &["--proxy", &relay, "--lenient"]);
    run.expect_code(1).expect_text("FAIL  test  failed = 0");
    assert!(run.failed("lost") > 0, "{}", run.stdout);
    // All of them had arrived: they were lost on their way back.
    let (seen, sent) = seen_and_sent(&block(&run));
    assert_eq!(seen, sent);
    // One that is lost now and then is no process that is gone.
    run.expect_text("pass  test  proxy survives");
}

#[test]
fn a_relay_that_doubles_answers_fails_for_it() {
    let text = scenario(1, "1s", ALL);
    let relay = relay("--double-every 50");
    let run = Run::of_text(HARNESS, &text, &["--proxy", &relay, "--lenient"]);
    run.expect_code(1).expect_text("FAIL  test  duplicated = 0");
    assert!(run.failed("duplicated") > 0, "{}", run.stdout);
}

#[test]
fn a_relay_that_dies_is_reported() {
    let text = scenario(1, "2s", "");
    let relay = relay("--die-after 1000");
    let run = Run::of_text(HARNESS, &text, &["--proxy", &relay, "--lenient"]);
    run.expect_code(4).expect_text("proxy died (SIGABRT)");
}

#[test]
fn a_server_that_is_killed_comes_back_behind_a_relay() {
    let killed = r#"
        [[fault]]
        at = "500ms"
        for = "400ms"
        process = "upstream.0"
        action = "kill"

        [[expect]]
        load = "failed > 0"
        phase = "during"

        [[expect]]
        upstream = "survives"

        [[expect]]
        proxy = "survives"
    "#;
    let text = scenario(1, "2s", killed).replace("warmup = \"0\"", "timeout = \"100ms\"");
    let run = Run::of_text(HARNESS, &text, &["--proxy", &relay(""), "--lenient"]);
    run.expect_code(0).expect_text("every fault was done");
}

#[test]
fn what_runs_already_is_asked_with_a_datagram() {
    let server = Program::start(
        HARNESS,
        &["upstream", "udp-echo", "--listen", "127.0.0.1:0"],
    );
    let proxy = format!("addr:{}", server.socket("listen"));
    let text = scenario(0, "500ms", ALL);
    let run = Run::of_text(HARNESS, &text, &["--proxy", &proxy, "--lenient"]);
    run.expect_code(0);

    let nobody = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let proxy = format!("addr:{}", nobody.local_addr().expect("bound"));
    drop(nobody);
    let run = Run::of_text(HARNESS, &text, &["--proxy", &proxy, "--lenient"]);
    run.expect_code(5).expect_text("nothing answers there");
}

#[test]
fn what_cannot_be_carried_out_is_refused_before_anything_starts() {
    let good = scenario(1, "1s", "");
    for proxy in ["builtin", "haproxy", "./proxy"] {
        let run = Run::of_text(HARNESS, &good, &["--proxy", proxy]);
        run.expect_code(2)
            .expect_text("relays no datagrams")
            .expect_text("accepted in mode \"udp\": direct, nginx, envoy");
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
    let cases = [
        (
            good.replace("udp-echo", "echo"),
            "mode: a proxy of mode \"udp\" has servers of mode \"udp-echo\" behind it",
        ),
        (
            good.replace("connections = 8", "payload = \"31\""),
            "payload: ",
        ),
        (
            good.replace("connections = 8", "requests_per_connection = 1"),
            "requests_per_connection: datagrams have no connections",
        ),
        (
            good.replace("connections = 8", "tls = true"),
            "tls: belongs to mode = \"tcp\" only",
        ),
        (
            good.clone() + "[[fuzz]]\n",
            "mode: expected statsd, whose garbage goes in datagrams",
        ),
    ];
    for (scenario, says) in cases {
        let run = Run::of_text(HARNESS, &scenario, &[]);
        run.expect_code(2).expect_text(says);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
}

#[test]
fn relays_of_datagrams_are_benched() {
    let relay = relay("");
    let args = [
        "bench",
        "--mode",
        "udp",
        "--proxy",
        &relay,
        "--rate",
        "1k/s",
        "--rounds",
        "1",
        "--duration",
        "300ms",
        "--warmup",
        "100ms",
        "--lenient",
    ];
    let run = Run::of(HARNESS, &args);
    run.expect_code(0).expect_text("direct");
}
