//! Proxies with a defect are found and rightly named, and a sound one of the same make is
//! not: whatever the harness finds is the defect.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use rustix::process::Signal;
use tests::proc::status_kib;
use tests::scenario::Run;
use tests::{Listener, Peer, Program, eventually};

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
const BROKEN_PROXY: &str = env!("CARGO_BIN_EXE_test-broken-proxy");

/// The broken proxy in this mode (`foo`) and with this defect.
fn broken(mode: &str, defect: &str) -> String {
    let to = match mode {
        "foo" => "--forward {forward}",
        _ => "{backends}",
    };
    format!("cmd:{BROKEN_PROXY} {mode} --listen {{listen}} --defect {defect} {to}")
}

/// A load that is answered rightly, or not.
const FOO: &str = r#"
    [[upstream]]

    [[load]]
    rate = "2k/s"
    connections = 4
    pipeline = 8
    warmup = "0"
    duration = "1s"

    [[expect]]
    load = "failed = 0"
"#;

/// The same of bytes.
const TCP: &str = r#"
    [[upstream]]
    mode = "echo"

    [proxy]
    mode = "tcp"

    [[load]]
    mode = "tcp"
    closed = true
    connections = 8
    requests_per_connection = 20
    warmup = "0"
    duration = "1s"
    drain = "300ms"

    [[expect]]
    load = "failed = 0"

    [[expect]]
    load = "unanswered = 0"
"#;

#[test]
fn a_sound_relay_passes() {
    for (mode, scenario) in [("foo", FOO), ("tcp", TCP)] {
        let run = Run::of_text(HARNESS, scenario, &["--proxy", &broken(mode, "none")]);
        run.expect_code(0);
    }
}

#[test]
fn wrong_answers_are_called_what_they_are() {
    const KINDS: [&str; 5] = ["corrupted", "lost", "duplicated", "reordered", "misrouted"];
    // Who gets the answer of another also waits for one that never comes.
    let cases: [(&str, &str, &str, &[&str]); 8] = [
        ("foo", FOO, "corrupts", &["corrupted"]),
        ("foo", FOO, "drops-reply", &["lost"]),
        ("foo", FOO, "duplicates-reply", &["duplicated"]),
        ("foo", FOO, "swaps-replies", &["reordered"]),
        ("foo", FOO, "answers-wrong-client", &["misrouted", "lost"]),
        ("tcp", TCP, "corrupts", &["corrupted"]),
        ("tcp", TCP, "duplicates-reply", &["duplicated"]),
        (
            "tcp",
            TCP,
            "answers-wrong-client",
            &["misrouted", "corrupted", "lost"],
        ),
    ];
    for (mode, scenario, defect, named) in cases {
        let run = Run::of_text(HARNESS, scenario, &["--proxy", &broken(mode, defect)]);
        run.expect_code(1);
        let seen = run.failed(named[0]);
        let text = &run.stdout;
        assert!(
            seen > 0,
            "{mode} {defect} is not called {}:\n{text}",
            named[0]
        );
        for other in KINDS.into_iter().filter(|kind| !named.contains(kind)) {
            let count = run.failed(other);
            assert!(
                count <= seen / 10,
                "{mode} {defect}: {count} × {other} beside {seen} × {}",
                named[0]
            );
        }
    }
}

#[test]
fn an_answer_that_never_comes_is_missed() {
    let proxy = broken("tcp", "drops-reply");
    let run = Run::of_text(HARNESS, TCP, &["--proxy", &proxy]);
    run.expect_code(1).expect_text("FAIL  test  unanswered = 0");
}

#[test]
fn a_half_close_that_does_not_pass_is_found() {
    let through = |proxy: &str| Run::of(HARNESS, &["run", "tcp-half-close", "--proxy", proxy]);
    // As a program that takes the flags of ours, too.
    through(BROKEN_PROXY).expect_code(0);
    for defect in ["swallows-half-close", "hangs-on-half-close"] {
        through(&broken("tcp", defect))
            .expect_code(4)
            .expect_text("FAIL  tcp-half-close  unanswered = 0")
            .expect_text("proxy hung");
    }
}

#[test]
fn a_proxy_that_dies_of_a_long_line_is_blamed_and_its_server_is_not() {
    let scenario = r#"
        [[upstream]]

        [[load]]
        rate = "200/s"
        connections = 2
        warmup = "0"
        duration = "10s"

        [[fuzz]]
        strategy = "lines"
        connections = 4
        duration = "9s"
        until_crash = true

        [[expect]]
        proxy = "survives"

        [[expect]]
        upstream = "survives"
    "#;
    // Shorter than any request, so that it is garbage that it dies of.
    let proxy = broken("foo", "dies-on-power-of-two-line=4");
    let run = Run::of_text(HARNESS, scenario, &["--proxy", &proxy]);
    run.expect_code(4)
        .expect_text("FAIL  test  proxy survives     proxy died (SIGABRT)")
        .expect_text("pass  test  upstream survives");
}

/// The broken proxy, relaying to a listener of the test.
fn start(defect: &str) -> (Program, Listener) {
    let listener = Listener::open();
    let to = listener.addr();
    let args = ["tcp", "--listen", "127.0.0.1:0", "--defect", defect, &to];
    (Program::start(BROKEN_PROXY, &args), listener)
}

#[test]
fn exactly_so_many_bytes_before_a_newline_are_deadly() {
    let (mut proxy, server) = start("dies-on-power-of-two-line");
    let line = |bytes: usize| [b"x".repeat(bytes), b"\n".to_vec()].concat();
    let mut client = Peer::connect(&proxy.socket("listen"));
    let mut other = server.accept();
    for harmless in [line(4095), line(4097), line(0), b"x".repeat(4096)] {
        client.send(&harmless);
        other.expect(&harmless);
    }
    client.send(b"x\n");
    client.send(line(4096));
    assert_eq!(proxy.wait().signal(), Some(Signal::ABORT.as_raw()));
}

#[test]
fn each_connection_costs_memory_and_a_descriptor_for_ever() {
    let (proxy, server) = start("leaks-per-connection");
    let open = || {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", proxy.pid()));
        fds.expect("a live process").count()
    };
    let [fds, kib] = [open() as u64, status_kib(proxy.pid(), "VmRSS")];
    for _ in 0..32 {
        let mut client = Peer::connect(&proxy.socket("listen"));
        let mut other = server.accept();
        client.finish();
        other.expect_end(tests::peer::End::Orderly);
        other.finish();
        client.expect_end(tests::peer::End::Orderly);
    }
    // What it had open to start with may have been closed meanwhile.
    eventually("30 descriptors and 30 MiB that stay", || {
        let grown = status_kib(proxy.pid(), "VmRSS") - kib;
        (open() as u64 >= fds + 30 && grown >= 30 * 1024).then_some(())
    });
}

#[test]
fn what_is_no_defect_is_refused_in_one_line() {
    let cases = [
        ("explodes", "expected one of none, dies-on-power"),
        ("dies-on-power-of-two-line=100", "a power of two"),
        ("corrupts=0", "corrupts=N"),
        ("none=1", "without a value"),
    ];
    for (defect, says) in cases {
        let mut command = Command::new(BROKEN_PROXY);
        command.args(["foo", "--listen", "127.0.0.1:0", "--forward", "127.0.0.1:1"]);
        command.env("BROKEN_PROXY", defect);
        let mut program = Program::spawn(command, None);
        assert_eq!(program.wait().code(), Some(2), "{defect}");
        let said = program.stderr();
        assert!(said.contains(says) && said.lines().count() == 1, "{said}");
    }
}
