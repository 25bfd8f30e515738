//! Reloads: good ones, broken ones, by order, by signal, by themselves.

use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::TempDir;
use tests::Program;

use crate::server::{Server, echoes, reach, reach_until};
use crate::started::{backend, connect, post, start, state, state_when};

/// A configuration in a directory of its own.
struct Config {
    directory: TempDir,
}

impl Config {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = Self { directory };
        config.write(text);
        config
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("proxy.toml")
    }

    /// As a careful editor does: all at once.
    fn write(&self, text: &str) {
        let draft = self.directory.path().join("draft");
        std::fs::write(&draft, text).expect("a file");
        std::fs::rename(draft, self.path()).expect("a file");
    }

    fn start(&self) -> Program {
        start(&["--config", self.path().to_str().expect("a plain path")])
    }
}

#[test]
fn a_reload_changes_backends_and_cuts_no_connection() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let config = Config::new(&format!("backends = [\"{}\"]", a.addr()));
    let proxy = config.start();
    let (mut held, name) = reach(&proxy);
    assert_eq!(name, "a");
    config.write(&format!(
        "balance = \"least-conn\"\nbackends = [{{ address = \"{}\", weight = 7 }}]",
        b.addr()
    ));
    let (head, body) = post(&proxy, "/reload");
    assert!(
        head.starts_with("HTTP/1.1 200") && body == "generation 2\n",
        "{head} {body}"
    );
    assert_eq!(reach(&proxy).1, "b");
    echoes(&mut held);
    let state = state(&proxy);
    assert_eq!(state["pools"][0]["balance"], "least-conn", "{state:#}");
    assert_eq!(backend(&state, b.addr())["weight"], 7, "{state:#}");
    assert_eq!(state["leaving"][0]["name"], a.addr(), "{state:#}");
    assert_eq!(state["leaving"][0]["active"], 1, "{state:#}");
    drop(held);
    state_when(&proxy, "the last connection to leave", |state| {
        state["leaving"].as_array().is_some_and(Vec::is_empty)
    });
}

#[test]
fn a_file_that_would_never_end_is_refused_and_nothing_waits_for_it() {
    let a = Server::start("a");
    let config = Config::new(&format!("backends = [\"{}\"]", a.addr()));
    let proxy = config.start();
    std::fs::remove_file(config.path()).expect("it is there");
    let kind = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, config.path(), kind, mode, 0).expect("a FIFO");
    let (head, body) = post(&proxy, "/reload");
    assert!(!head.contains("200"), "{head} {body}");
    assert!(body.contains("not a regular file"), "{head} {body}");
    assert_eq!(reach(&proxy).1, "a");
}

#[test]
fn what_stays_keeps_its_counters_and_what_returns_its_health() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let both = format!("backends = [\"{}\", \"{}\"]", a.addr(), b.addr());
    let config = Config::new(&both);
    let proxy = config.start();
    reach_until(&proxy, "a");
    let before = state(&proxy);
    config.write(&format!("retries = 5\n{both}"));
    assert!(post(&proxy, "/reload").0.contains("200"));
    let after = state(&proxy);
    let count = |state: &serde_json::Value| backend(state, a.addr())["connections"].clone();
    assert_eq!(count(&before), count(&after));
    assert_eq!(after["config"]["generation"], 2);
}

#[test]
fn a_broken_configuration_keeps_the_running_one_and_says_why() {
    let a = Server::start("a");
    let good = format!("backends = [\"{}\"]", a.addr());
    let config = Config::new(&good);
    let proxy = config.start();
    for (broken, words) in [
        (
            "backends = [\"127.0.0.1:1\"]\nretreis = 1",
            &["line 2", "retreis"][..],
        ),
        (
            "backends = [\"no-such-host.invalid:1\"]\n",
            &["no-such-host.invalid"],
        ),
        (
            "backends = [\"127.0.0.1:1\"]\naccess_log = \"/none/log\"",
            &["/none/log"],
        ),
    ] {
        config.write(broken);
        let (head, body) = post(&proxy, "/reload");
        assert!(head.starts_with("HTTP/1.1 422"), "{head} {body}");
        let state = state(&proxy);
        let error = state["progress"]["reload_error"]
            .as_str()
            .unwrap()
            .to_owned();
        for word in words {
            assert!(
                body.contains(word) && error.contains(word),
                "{word}: {body} {error}"
            );
            proxy.expect_log(word);
        }
        assert_eq!(reach(&proxy).1, "a");
        assert_eq!(state["config"]["generation"], 1);
    }
    config.write(&good);
    assert!(post(&proxy, "/reload").0.contains("200"));
    assert_eq!(
        state(&proxy)["progress"]["reload_error"],
        serde_json::Value::Null
    );
}

#[test]
fn the_file_is_read_again_on_sighup_and_when_it_changes() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let config = Config::new(&format!("backends = [\"{}\"]", a.addr()));
    let proxy = config.start();
    assert_eq!(reach(&proxy).1, "a");
    config.write(&format!("backends = [\"{}\"]", b.addr()));
    reach_until(&proxy, "b");
    let generation = state(&proxy)["config"]["generation"].clone();
    proxy.signal(Signal::HUP);
    state_when(&proxy, "another generation", |state| {
        state["config"]["generation"].as_u64() > generation.as_u64()
    });
}

#[test]
fn what_cannot_change_is_said() {
    let a = Server::start("a");
    let backends = format!("backends = [\"{}\"]", a.addr());
    let config = Config::new(&backends);
    let proxy = config.start();
    config.write(&format!(
        "threads = 7\ndriver = \"epoll\"\nmax_connections = 1\n{backends}"
    ));
    assert!(post(&proxy, "/reload").0.contains("200"));
    let state = state(&proxy);
    assert_eq!(
        state["progress"]["reload_ignored"],
        serde_json::json!(["threads", "driver"])
    );
    proxy.expect_log("stays as it is: threads, driver");
    // This one can.
    let _held = reach(&proxy);
    tests::Peer::expect_refused(&proxy.socket("listen"));
}

#[test]
fn who_waits_goes_where_the_new_configuration_says() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    let config = Config::new(&format!(
        "max_per_backend = 1\nqueue = 1\nqueue_timeout = \"20s\"\nbackends = [\"{}\"]",
        a.addr()
    ));
    let proxy = config.start();
    let (mut held, _) = reach(&proxy);
    let mut waits = connect(&proxy);
    state_when(&proxy, "one to wait", |state| {
        state["pools"][0]["queue"]["waiting"] == 1
    });
    config.write(&format!("backends = [\"{}\"]", b.addr()));
    assert!(post(&proxy, "/reload").0.contains("200"));
    waits.expect("b");
    echoes(&mut held);
}
