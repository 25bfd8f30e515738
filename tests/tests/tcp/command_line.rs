//! The command line: the replaced system's, bad input, help.

use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use tests::{Listener, Program, ReservedPort};

use crate::server::{Server, echoes, reach};
use crate::started::{PROXY, start, state};

#[test]
fn the_command_line_of_the_replaced_balancer_works() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    for algorithm in ["random", "RANDOM", "P2C"] {
        let args = [
            "tcp",
            "-laddr",
            "localhost:0",
            "-timeout",
            "3s",
            "-lb",
            algorithm,
        ];
        let proxy = Program::start(PROXY, &[&args, &[a.addr(), b.addr()][..]].concat());
        let (mut client, name) = reach(&proxy);
        assert!(["a", "b"].contains(&name.as_str()));
        echoes(&mut client);
    }
}

#[test]
fn every_algorithm_relays_on_both_drivers() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    for driver in ["io_uring", "epoll"] {
        for algorithm in [
            "random",
            "p2c",
            "p2c-ewma",
            "round-robin",
            "least-conn",
            "hash",
        ] {
            let args = [
                "--balance",
                algorithm,
                "--driver",
                driver,
                a.addr(),
                b.addr(),
            ];
            let proxy = start(&args);
            let mut clients: Vec<_> = (0..8).map(|_| reach(&proxy)).collect();
            clients.iter_mut().for_each(|(client, _)| echoes(client));
            let names: std::collections::HashSet<_> =
                clients.iter().map(|(_, name)| name).collect();
            match algorithm {
                // Chance, and one client that may fill its backend.
                "random" | "hash" => {}
                _ => assert_eq!(names.len(), 2, "{algorithm} uses both"),
            }
            assert_eq!(state(&proxy)["pools"][0]["balance"], algorithm);
        }
    }
}

fn refused(args: &[&str], words: &[&str], code: i32) {
    let mut command = Command::new(PROXY);
    let output = command
        .arg("tcp")
        .args(args)
        .assert()
        .code(code)
        .get_output()
        .clone();
    let stderr = String::from_utf8(output.stderr).expect("text");
    let errors: Vec<_> = stderr
        .lines()
        .filter(|line| line.starts_with("error"))
        .collect();
    assert_eq!(errors.len(), 1, "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    for word in words {
        assert!(
            stderr.contains(word),
            "{args:?} should mention {word}: {stderr}"
        );
    }
}

#[test]
fn bad_arguments_are_one_line_that_names_what_is_accepted() {
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["no backends", "HOST:PORT"]),
        (&["localhost"], &["localhost", "HOST:PORT"]),
        (&["a:0"], &["a:0", "1 to 65535"]),
        (&["a:1,weight=0"], &["weight", "1 to 256"]),
        (&["a:1,weight=x"], &["weight", "\"x\""]),
        (&["a:1,wieght=2"], &["wieght=2", "weight=N"]),
        (&["a:1", "a:1"], &["a:1", "twice"]),
        (&["-lb", "fastest", "a:1"], &["fastest", "p2c-ewma"]),
        (&["--listen", "8002", "a:1"], &["8002", "HOST:PORT"]),
        (&["-timeout", "3", "a:1"], &["\"3\"", "250ms"]),
        (
            &["--when-all-down", "panic", "a:1"],
            &["panic", "fail, any"],
        ),
        (&["--health-interval", "x", "a:1"], &["\"x\"", "250ms"]),
        (&["--health-rise", "0", "a:1"], &["\"0\"", "at least 1"]),
        (&["--health-jitter", "200%", "a:1"], &["200%", "100%"]),
        (&["--health-send", "\\q", "a:1"], &["xHH"]),
        (
            &["--eject-time", "1m", "--eject-time-max", "1s", "a:1"],
            &["ejection", "shorter"],
        ),
        (&["--send-proxy", "v3", "a:1"], &["v3", "v1 or v2"]),
        (&["--accept-proxy", "maybe", "a:1"], &["maybe", "optional"]),
        (
            &["--proxy-from", "10.0.0.0/40", "a:1"],
            &["10.0.0.0/40", "10.0.0.0/8"],
        ),
        (&["--proxy-from", "10.0.0.0/8", "a:1"], &["--accept-proxy"]),
        (&["--tls-cert", "x.pem", "a:1"], &["--tls-key"]),
        (&["--alpn", "h2", "a:1"], &["--alpn", "--tls-cert"]),
        (
            &["--tls-cert", "/none.pem", "--tls-key", "/none.pem", "a:1"],
            &["/none.pem"],
        ),
        (&["--keepalive", "often", "a:1"], &["often", "IDLE"]),
        (
            &["--resolve-interval", "2s..1s", "a:1"],
            &["2s..1s", "MIN..MAX"],
        ),
        (&["--driver", "kqueue", "a:1"], &["kqueue", "io_uring"]),
        (&["--config", "/none.toml"], &["/none.toml"]),
        (
            &["--config", "/dev/zero"],
            &["/dev/zero", "not a regular file"],
        ),
        (
            &["--source", "192.0.2.1", "127.0.0.1:1"],
            &["--source", "192.0.2.1", "assign"],
        ),
        (&["--ready-fd", "1", "a:1"], &["\"1\"", "descriptor"]),
        (&["--no-such-flag", "a:1"], &["--no-such-flag"]),
    ];
    for (args, words) in cases {
        refused(args, words, 2);
    }
}

#[test]
fn a_bad_configuration_is_one_line_that_names_file_line_and_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("proxy.toml");
    let path = file.to_str().unwrap();
    for (text, words) in [
        (
            "backends = [\"a:1\"]\nidle_timout = \"1s\"",
            &["proxy.toml", "line 2", "idle_timout"][..],
        ),
        (
            "balance = \"fast\"",
            &["proxy.toml", "line 1", "balance", "p2c"],
        ),
        (
            "backends = [\n\"a:1\",\n\"b\"]",
            &["proxy.toml", "line 3", "\"b\""],
        ),
        ("backends = []", &["no backends"]),
        (
            "[[pool]]\nname = \"x\"\nbackends = [\"a:1\"]\n[[route]]\nsni = \"a\"\npool = \"y\"",
            &["proxy.toml", "line 6", "pool", "\"y\"", "there is x"],
        ),
        (
            "[[pool]]\nname = \"x\"\nbackends = [\"a:1\"]\n[[pool]]\nname = \"x\"\nbackends = [\"a:1\"]",
            &["proxy.toml", "line 5", "name", "already"],
        ),
        (
            "[[pool]]\nname = \"x\"\nbackends = [\"a:1\"]\n[[route]]\nsni = \"a b\"\npool = \"x\"",
            &["proxy.toml", "line 5", "sni", "*.DOMAIN"],
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        refused(&["--config", path], words, 2);
    }
}

#[test]
fn what_cannot_start_is_one_line_too() {
    let taken = Listener::open();
    refused(
        &["--listen", &taken.addr(), "127.0.0.1:1"],
        &[&taken.addr(), "in use"],
        1,
    );
    let nobody = ReservedPort::take();
    let unknown = ["--resolver", nobody.addr(), "no-such-host.invalid:1"];
    refused(
        &[&["--listen", "127.0.0.1:0"], &unknown[..]].concat(),
        &["no-such-host.invalid"],
        1,
    );
}

#[test]
fn help_teaches_by_example() {
    let mut command = Command::new(PROXY);
    let output = command
        .args(["tcp", "--help"])
        .assert()
        .success()
        .get_output()
        .clone();
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "-laddr localhost:4000",
        "SIGUSR2",
        "[[route]]",
        "default: p2c",
        "/drain",
    ] {
        assert!(help.contains(word), "help should mention {word}: {help}");
    }
}
