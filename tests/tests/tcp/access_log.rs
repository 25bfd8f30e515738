//! The access log.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;
use tests::{Peer, ReservedPort, eventually};

use crate::server::{Server, echoes, reach};
use crate::started::{connect, start, state};

/// The lines of a log, once there are so many.
fn lines(path: &Path, count: usize) -> Vec<Value> {
    eventually(&format!("{count} lines"), || {
        let text = std::fs::read_to_string(path).ok()?;
        (text.ends_with('\n') && text.lines().count() >= count).then(|| {
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("JSON: {line}")))
                .collect()
        })
    })
}

#[test]
fn each_connection_is_a_line_that_says_how_it_went() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let a = Server::start("a");
    for driver in ["io_uring", "epoll"] {
        let _ = std::fs::remove_file(&path);
        let args = ["--access-log", path.to_str().unwrap(), "--driver", driver];
        let args = [&args[..], &["--idle-timeout", "300ms", a.addr()]].concat();
        let proxy = start(&args);
        let (mut client, _) = reach(&proxy);
        echoes(&mut client);
        let from = client.as_stream().local_addr().unwrap().to_string();
        client.finish();
        drop(client);
        let line = &lines(&path, 1)[0];
        assert_eq!(line["end"], "client_end", "{line}");
        assert_eq!(line["client"], from, "{line}");
        assert_eq!(
            (&line["pool"], &line["backend"]),
            (&"default".into(), &a.addr().into())
        );
        assert_eq!(
            (&line["client_bytes"], &line["backend_bytes"]),
            (&1.into(), &2.into()),
            "{line}"
        );
        assert_eq!(line["attempts"], 1, "{line}");
        assert!(
            line["connect_ms"].is_number() && line["first_byte_ms"].is_number(),
            "{line}"
        );
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");

        let (client, _) = reach(&proxy);
        client.reset();
        assert_eq!(lines(&path, 2)[1]["end"], "client_reset");
        let _idle = reach(&proxy);
        assert_eq!(lines(&path, 3)[2]["end"], "idle_timeout");
        eventually("the lines to be counted", || {
            (state(&proxy)["access_log"]["written"] == 3).then_some(())
        });
    }
}

#[test]
fn what_did_not_reach_a_backend_is_told_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let nobody = ReservedPort::take();
    let file = path.to_str().unwrap();
    let proxy = start(&["--access-log", file, nobody.addr()]);
    Peer::expect_refused(&proxy.socket("listen"));
    assert_eq!(lines(&path, 1)[0]["end"], "no_backend");
    drop(proxy);
    let unchecked = [
        "--health-interval",
        "0",
        "--access-log",
        file,
        nobody.addr(),
    ];
    let proxy = start(&unchecked);
    Peer::expect_refused(&proxy.socket("listen"));
    let line = &lines(&path, 2)[1];
    assert_eq!(
        (&line["end"], &line["attempts"]),
        (&"dial_failed".into(), &1.into()),
        "{line}"
    );
    assert_eq!(line["backend"], nobody.addr(), "{line}");
}

#[test]
fn a_connection_too_many_has_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let a = Server::start("a");
    let file = path.to_str().unwrap();
    let proxy = start(&["--max-connections", "1", "--access-log", file, a.addr()]);
    let (client, _) = reach(&proxy);
    Peer::expect_refused(&proxy.socket("listen"));
    let line = &lines(&path, 1)[0];
    assert_eq!(line["end"], "too_many_connections", "{line}");
    assert_eq!(
        (&line["backend"], &line["attempts"]),
        (&Value::Null, &0.into())
    );
    assert_ne!(
        line["client"],
        client.as_stream().local_addr().unwrap().to_string()
    );
}

#[test]
fn the_log_is_rotated_on_sighup_and_written_out_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let old = directory.path().join("access.log.1");
    let a = Server::start("a");
    let mut proxy = start(&["--access-log", path.to_str().unwrap(), a.addr()]);
    drop(reach(&proxy));
    lines(&path, 1);
    std::fs::rename(&path, &old).unwrap();
    proxy.signal(Signal::HUP);
    eventually("a new file", || path.exists().then_some(()));
    let mut client = connect(&proxy);
    client.expect("a");
    drop(client);
    proxy.signal(Signal::TERM);
    assert!(proxy.wait().success());
    assert_eq!((lines(&old, 1).len(), lines(&path, 1).len()), (1, 1));
}

#[test]
fn the_log_can_go_to_stdout() {
    let a = Server::start("a");
    let proxy = start(&["--access-log", "-", a.addr()]);
    let line = proxy.line_after(|proxy| drop(reach(proxy)));
    let line: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["backend"], a.addr());
}
