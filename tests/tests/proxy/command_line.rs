//! The command line: help, flags in both styles, what is refused, what cannot start.

use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use tests::{Listener, Peer, Program};

use crate::started::{PROXY, args, exchange, start, stats};

#[test]
fn go_style_flags_work() {
    let server = Listener::open();
    let forward = format!("-forward={}", server.addr());
    let proxy = Program::start(PROXY, &["foo", "-listen=127.0.0.1:0", &forward]);
    let mut client = Peer::connect(&proxy.socket("listen"));
    exchange(&mut client, &mut server.accept());
}

#[test]
fn a_used_port_is_refused_by_name() {
    let (proxy, _server) = start("io_uring", &[]);
    let taken = proxy.socket("listen");
    let mut second = Command::new(PROXY);
    second.args(["foo", "--listen", &taken, "--forward", "127.0.0.1:1"]);
    let output = second.assert().code(1).get_output().clone();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains(&taken) && stderr.contains("in use"),
        "{stderr}"
    );
    assert_eq!(
        stderr
            .lines()
            .filter(|line| line.starts_with("error"))
            .count(),
        1,
        "{stderr}"
    );
}

#[test]
fn where_io_uring_is_forbidden_epoll_serves_and_the_reason_is_logged() {
    const WITHOUT: &str = env!("CARGO_BIN_EXE_test-without-io-uring");
    let server = Listener::open();
    let forward = server.addr();
    let args = [&[PROXY][..], &args("auto", &forward)].concat();
    let proxy = Program::start(WITHOUT, &args);
    let mut client = Peer::connect(&proxy.socket("listen"));
    exchange(&mut client, &mut server.accept());
    assert_eq!(stats(&proxy)["driver"], "epoll");
    proxy.expect_log("Operation not permitted");
    let forced = [
        &[PROXY][..],
        &["foo", "--listen", "127.0.0.1:0", "--driver", "io_uring"],
    ]
    .concat();
    Command::new(WITHOUT).args(forced).assert().code(1);
}

#[test]
fn bad_arguments_are_one_line_that_names_what_is_accepted() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["--listen", "8002"], &["8002", "HOST:PORT"]),
        (&["--forward", "localhost"], &["localhost", "HOST:PORT"]),
        (
            &["--on-malformed", "shrug"],
            &["shrug", "reply", "drop", "close", "forward"],
        ),
        (&["--grammar", "loose"], &["loose", "strict", "spec"]),
        (&["--max-line", "4"], &["5 to 1048576"]),
        (&["--max-line", "many"], &["many", "64KiB"]),
        (&["--connect-timeout", "5"], &["\"5\"", "250ms"]),
        (&["--idle-timeout=-1s"], &["-1s", "250ms"]),
        (&["--grace", "soon"], &["soon", "250ms"]),
        (&["--threads", "0"], &["\"0\"", "at least 1"]),
        (&["--max-connections", "0"], &["\"0\"", "at least 1"]),
        (&["--driver", "kqueue"], &["kqueue", "io_uring", "epoll"]),
        (&["--ready-fd", "1"], &["\"1\"", "descriptor"]),
        (&["--no-such-flag"], &["--no-such-flag"]),
    ];
    for (args, expected) in cases {
        let mut command = Command::new(PROXY);
        let output = command
            .arg("foo")
            .args(*args)
            .assert()
            .code(2)
            .get_output()
            .clone();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        for word in *expected {
            assert!(
                stderr.contains(word),
                "{args:?} should mention {word}: {stderr}"
            );
        }
    }
}

#[test]
fn help_teaches_by_example() {
    for args in [&["--help"][..], &["foo", "--help"]] {
        let output = Command::new(PROXY)
            .args(args)
            .assert()
            .success()
            .get_output()
            .clone();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            help.contains("Examples:") && help.contains("proxy foo --listen :8002"),
            "{help}"
        );
    }
}
