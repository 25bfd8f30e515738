//! The PROXY protocol, sent and accepted, with ourselves and with others.

use std::fs;
use std::process::Command;

use tempfile::TempDir;
use tests::peer::End;
use tests::{Listener, Peer, Program, ReservedPort, eventually, is_installed, proc};

use crate::server::{Server, reach};
use crate::started::{connect, start, state};

const UNCHECKED: [&str; 2] = ["--health-interval", "0"];

fn v1(source: &str, destination: &str) -> String {
    let (from, from_port) = source.rsplit_once(':').expect("a port");
    let (to, to_port) = destination.rsplit_once(':').expect("a port");
    format!("PROXY TCP4 {from} {to} {from_port} {to_port}\r\n")
}

fn local(peer: &Peer) -> String {
    peer.as_stream()
        .local_addr()
        .expect("connected")
        .to_string()
}

#[test]
fn the_header_goes_before_everything_else() {
    for driver in ["io_uring", "epoll"] {
        let server = Listener::open();
        let address = server.addr();
        let text = [
            &UNCHECKED[..],
            &["--driver", driver, "--send-proxy", "v1", &address],
        ];
        let proxy = start(&text.concat());
        let mut client = connect(&proxy);
        client.send("hello");
        let mut upstream = server.accept();
        upstream.expect(v1(&local(&client), &proxy.socket("listen")) + "hello");

        let binary = [
            &UNCHECKED[..],
            &["--driver", driver, "--send-proxy", "v2", &address],
        ];
        let proxy = start(&binary.concat());
        let client = connect(&proxy);
        let mut upstream = server.accept();
        upstream.expect(b"\r\n\r\n\0\r\nQUIT\n\x21\x11");
        let from = client
            .as_stream()
            .local_addr()
            .unwrap()
            .port()
            .to_be_bytes();
        let to = client.as_stream().peer_addr().unwrap().port().to_be_bytes();
        let ports = [&[0, 12, 127, 0, 0, 1, 127, 0, 0, 1][..], &from, &to].concat();
        upstream.expect(ports);
    }
}

#[test]
fn checks_say_that_they_are_checks() {
    let server = Listener::open();
    let address = server.addr();
    let mut command = Command::new(crate::started::PROXY);
    command.args([
        "tcp",
        "--listen",
        "127.0.0.1:0",
        "--send-proxy",
        "v1",
        &address,
    ]);
    let _proxy = Program::spawn(command, None);
    let mut check = server.accept();
    check.expect("PROXY UNKNOWN\r\n");
    check.expect_end(End::Orderly);
}

#[test]
fn a_header_is_taken_off_and_handed_on() {
    for driver in ["io_uring", "epoll"] {
        for version in ["required", "optional"] {
            let server = Listener::open();
            let address = server.addr();
            let hand_on = [
                "--accept-proxy",
                version,
                "--send-proxy",
                "v1",
                "--driver",
                driver,
            ];
            let proxy = start(&[&UNCHECKED[..], &hand_on, &[&address]].concat());
            let header = v1("192.0.2.7:1234", "192.0.2.8:80");
            let mut client = connect(&proxy);
            // In pieces, as TCP may.
            for piece in [&header[..9], &header[9..], "hello"] {
                client.send(piece);
            }
            server.accept().expect(format!("{header}hello"));
        }
    }
}

#[test]
fn without_a_header_data_passes_only_where_it_is_optional() {
    let server = Listener::open();
    let address = server.addr();
    let proxy = start(&[&UNCHECKED[..], &["--accept-proxy", "optional", &address]].concat());
    let mut client = connect(&proxy);
    client.send("PROXIES are what we are");
    server.accept().expect("PROXIES are what we are");
    let proxy = start(&[&UNCHECKED[..], &["--accept-proxy", "required", &address]].concat());
    for garbage in [
        "hello, world: no header\r\n",
        "PROXY TCP4 x y 1 2\r\n",
        "\r\n\r\n\0\r\nQUIT\n\x31\x11",
    ] {
        let mut client = connect(&proxy);
        client.send(garbage);
        client.expect_end(End::Reset);
    }
    let state = state(&proxy);
    let reasons = state["relay"]["bad_proxy_headers"].as_object().unwrap();
    let counted: u64 = reasons.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(counted, 3, "{state:#}");
}

#[test]
fn who_is_not_trusted_may_not_send_one_and_who_is_slow_is_closed() {
    let server = Listener::open();
    let address = server.addr();
    let others = ["--accept-proxy", "required", "--proxy-from", "192.0.2.0/24"];
    let proxy = start(&[&UNCHECKED[..], &others, &[&address]].concat());
    let mut client = connect(&proxy);
    let _ = client.try_send(v1("192.0.2.7:1234", "192.0.2.8:80"));
    client.expect_end(End::Reset);
    assert_eq!(state(&proxy)["relay"]["proxy_headers_untrusted"], 1);
    let slow = ["--accept-proxy", "required", "--preface-timeout", "50ms"];
    let proxy = start(&[&UNCHECKED[..], &slow, &[&address]].concat());
    let mut client = connect(&proxy);
    client.send("PROXY TCP4 ");
    client.expect_end(End::Reset);
    assert_eq!(state(&proxy)["connections"]["preface_timeout"], 1);
}

/// A foreign proxy that runs with a configuration.
struct Foreign {
    listen: ReservedPort,
    _program: Program,
    _directory: TempDir,
}

impl Foreign {
    /// `config` makes its configuration from the address to listen on.
    fn start(program: &str, args: &[&str], config: impl Fn(&str, &str) -> String) -> Self {
        let (listen, directory) = (
            ReservedPort::take(),
            tempfile::tempdir().expect("a directory"),
        );
        let file = directory.path().join("config");
        let scratch = directory.path().to_str().expect("a plain path");
        fs::write(&file, config(listen.addr(), scratch)).expect("a file");
        let mut command = Command::new(program);
        command.args(args).arg(&file);
        let running = Program::spawn(command, None);
        eventually(&format!("{program} to listen"), || {
            proc::is_listening(listen.addr()).then_some(())
        });
        Self {
            listen,
            _program: running,
            _directory: directory,
        }
    }

    fn haproxy(bind: &str, server: &str) -> Self {
        Self::start("haproxy", &["-f"], |listen, _| {
            format!(
                "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
                 listen test\n bind {listen} {bind}\n server one {server}\n"
            )
        })
    }

    fn nginx(listens: &str, more: &str) -> Self {
        Self::start("nginx", &["-c"], |listen, scratch| {
            let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
            let load = if std::path::Path::new(module).exists() {
                format!("load_module {module};")
            } else {
                String::new()
            };
            format!(
                "{load}\ndaemon off; master_process off; pid {scratch}/pid; error_log stderr;\n\
                 events {{}}\nstream {{ server {{ listen {listen} {listens}; {more} }} }}\n"
            )
        })
    }
}

/// A client's bytes through a foreign proxy and ours: the backend hears who it is.
fn tells_us(foreign: &Foreign, server: &Listener) {
    let mut client = Peer::connect(foreign.listen.addr());
    client.send("hello");
    let mut upstream = server.accept();
    upstream.expect(v1(&local(&client), foreign.listen.addr()) + "hello");
    upstream.send("bye");
    client.expect("bye");
}

/// A balancer that takes a header off and hands it on as text.
fn hands_on(server: &Listener) -> Program {
    let address = server.addr();
    let args = ["--accept-proxy", "required", "--send-proxy", "v1", &address];
    start(&[&UNCHECKED[..], &args].concat())
}

#[test]
fn what_haproxy_and_nginx_send_is_understood() {
    let server = Listener::open();
    let proxy = hands_on(&server);
    let listen = proxy.socket("listen");
    if is_installed("haproxy") {
        for version in ["send-proxy", "send-proxy-v2"] {
            tells_us(
                &Foreign::haproxy("", &format!("{listen} {version}")),
                &server,
            );
        }
    }
    if is_installed("nginx") {
        let pass = format!("proxy_pass {listen}; proxy_protocol on;");
        tells_us(&Foreign::nginx("", &pass), &server);
    }
}

#[test]
fn haproxy_and_nginx_understand_what_is_sent() {
    let a = Server::start("a");
    for version in ["v1", "v2"] {
        let ours = |foreign: &Foreign| {
            let listen = foreign.listen.addr();
            start(&[&UNCHECKED[..], &["--send-proxy", version, listen]].concat())
        };
        if is_installed("haproxy") {
            let haproxy = Foreign::haproxy("accept-proxy", a.addr());
            let proxy = ours(&haproxy);
            assert_eq!(reach(&proxy).1, "a");
        }
        if is_installed("nginx") {
            // It tells what it understood.
            let nginx = Foreign::nginx(
                "proxy_protocol",
                "return \"$proxy_protocol_addr:$proxy_protocol_port\";",
            );
            let proxy = ours(&nginx);
            let mut client = connect(&proxy);
            let expected = local(&client);
            client.expect(expected);
        }
    }
}
