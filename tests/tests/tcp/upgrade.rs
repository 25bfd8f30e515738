//! Drain, and handing over to a successor.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tests::dns::{Answer, NameServer};
use tests::{Peer, Program, eventually, proc};

use crate::server::{Server, echoes, reach};
use crate::started::{FREE_PORTS, PROXY, post, start, state, state_at, state_when};

/// A balancer and all its successors; none is left when it is dropped.
struct Line {
    mark: String,
    first: Program,
    listen: String,
    admin: String,
    successors: RefCell<Vec<u32>>,
}

impl Line {
    fn start(more: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        // Successors whose predecessor has ended are this process's to reap.
        rustix::process::set_child_subreaper(Pid::from_raw(1)).expect("Linux");
        let mark = format!("upgrade-{}-{number}", std::process::id());
        let mut command = Command::new(PROXY);
        command
            .args(FREE_PORTS)
            .args(more)
            .env("HARNESS_TEST_MARK", &mark);
        let first = Program::start_command(command);
        Self {
            mark,
            listen: first.socket("listen"),
            admin: first.socket("admin"),
            successors: RefCell::default(),
            first,
        }
    }

    /// Who answers on the admin endpoint now.
    fn pid(&self) -> u32 {
        let pid = state_at(&self.admin)["pid"].as_u64().expect("a number");
        u32::try_from(pid).expect("a process")
    }

    fn signal(&self, pid: u32, signal: Signal) {
        kill_process(process(pid), signal).unwrap_or_else(|error| {
            panic!("{signal:?}: {error}\n{}", self.first.describe());
        });
    }

    /// Upgrades, and returns the successor.
    fn upgrade(&self) -> u32 {
        let before = self.pid();
        self.signal(before, Signal::USR2);
        let pid = eventually("a successor", || {
            let state = state_at(&self.admin);
            let pid = u32::try_from(state["pid"].as_u64()?).ok()?;
            (pid != before && state["progress"]["predecessor"] == before).then_some(pid)
        });
        self.successors.borrow_mut().push(pid);
        pid
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for pid in proc::marked(&self.mark) {
            // It may be ending by itself.
            let _ = kill_process(process(pid), Signal::KILL);
        }
        // As long as it lives, its first successor is its own to reap.
        let _ = kill_process(process(self.first.pid()), Signal::KILL);
        eventually("the first to end", || {
            proc::marked(&self.mark).is_empty().then_some(())
        });
        for pid in self.successors.borrow().iter() {
            // One that its predecessor has reaped is not there any more.
            let _ = waitpid(Some(process(*pid)), WaitOptions::empty());
        }
    }
}

fn process(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).expect("a process")
}

#[test]
fn a_successor_takes_over_and_open_connections_finish() {
    let (a, b) = (Server::start("a"), Server::start("b"));
    for driver in ["io_uring", "epoll"] {
        let line = Line::start(&["--driver", driver, a.addr(), b.addr()]);
        let first = line.first.pid();
        let (mut held, _) = reach(&line.first);
        assert!(
            post(&line.first, &format!("/backends/{}/drain", b.addr()))
                .0
                .contains("200")
        );
        let second = line.upgrade();
        echoes(&mut held);
        // What the operator said goes on.
        let state = state_at(&line.admin);
        assert_eq!(
            state["pools"][0]["backends"][1]["status"], "draining",
            "{state:#}"
        );
        assert_eq!(reach(&line.first).1, "a");
        assert!(
            proc::marked(&line.mark).contains(&first),
            "it waits for its connection"
        );
        drop(held);
        eventually("the first to end", || {
            (proc::marked(&line.mark) == [second]).then_some(())
        });
        line.signal(second, Signal::TERM);
        eventually("both to have ended", || {
            proc::marked(&line.mark).is_empty().then_some(())
        });
    }
}

#[test]
fn what_was_drained_stays_so_in_a_successor_that_calls_it_otherwise() {
    let a = Server::start("a");
    let port = a.addr().rsplit_once(':').expect("a port").1;
    let [one, two] = [1, 2].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let names = NameServer::start(Answer::Addresses(vec![one]));
    let name = format!("db.example:{port}");
    let args = [
        "--resolver",
        names.addr(),
        "--resolve-interval",
        "20ms..100ms",
    ];
    let line = Line::start(&[&args[..], &[&name]].concat());
    names.set(Answer::Addresses(vec![one, two]));
    let backends = |count: usize| {
        eventually("the backends", || {
            let state = state_at(&line.admin);
            let backends = state["pools"][0]["backends"].as_array()?.clone();
            (backends.len() == count).then_some(backends)
        })
    };
    assert_eq!(backends(2)[0]["name"], name);
    let (head, _) = post(&line.first, &format!("/backends/{name}/drain"));
    assert!(head.contains("200"), "{head}");
    line.upgrade();
    let after = backends(2);
    assert_eq!(after[0]["name"], format!("{name}@{one}"));
    assert_eq!(after[0]["status"], "draining", "{after:#?}");
    assert_ne!(after[1]["status"], "draining", "{after:#?}");
}

#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let a = Server::start("a");
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("proxy.toml");
    std::fs::write(&config, format!("backends = [\"{}\"]", a.addr())).unwrap();
    let line = Line::start(&["--config", config.to_str().unwrap()]);
    std::fs::write(&config, "nonsense = 1").unwrap();
    line.first.signal(Signal::USR2);
    let state = state_when(&line.first, "the upgrade to fail", |state| {
        state["progress"]["upgrades_failed"] == 1
    });
    let error = state["progress"]["upgrade_error"].as_str().unwrap();
    assert!(error.contains("exit status: 2"), "{error}");
    line.first.expect_log("nonsense");
    assert_eq!(reach(&line.first).1, "a");
    std::fs::write(&config, format!("backends = [\"{}\"]", a.addr())).unwrap();
    line.upgrade();
    assert_eq!(reach(&line.first).1, "a");
}

/// New connections, one after another, about a thousand a second.
struct Churn {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Churn {
    const THREADS: u32 = 4;

    fn start(listen: &str) -> Self {
        let (stop, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let threads = (0..Self::THREADS).map(|_| {
            let (stop, done, listen) = (Arc::clone(&stop), Arc::clone(&done), listen.to_owned());
            thread::spawn(move || {
                let pause = Duration::from_millis(1) * Self::THREADS;
                let mut next = Instant::now();
                while !stop.load(Ordering::SeqCst) {
                    let mut peer = Peer::connect(&listen);
                    peer.send("hello");
                    peer.expect("ahello");
                    peer.finish();
                    peer.expect_end(tests::peer::End::Orderly);
                    done.fetch_add(1, Ordering::SeqCst);
                    next += pause;
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            })
        });
        let threads = threads.collect();
        Self {
            stop,
            done,
            threads,
        }
    }

    /// Waits until some more are through.
    fn goes_on(&self) {
        let before = self.done.load(Ordering::SeqCst);
        eventually("connections to go on", || {
            (self.done.load(Ordering::SeqCst) > before + 50).then_some(())
        });
    }

    /// Each of them has gone as it should, or this fails.
    fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("no connection is broken");
        }
        self.done.load(Ordering::SeqCst)
    }
}

#[test]
fn ten_upgrades_under_churn_break_no_connection() {
    let a = Server::start("a");
    for driver in ["io_uring", "epoll"] {
        let line = Line::start(&["--driver", driver, a.addr()]);
        let churn = Churn::start(&line.listen);
        churn.goes_on();
        for _ in 0..10 {
            line.upgrade();
            churn.goes_on();
        }
        let count = churn.end();
        assert!(count > 500, "{count}");
        eventually("all but the last to end", || {
            (proc::marked(&line.mark).len() == 1).then_some(())
        });
    }
}

#[test]
fn ten_reloads_and_drains_under_churn_break_no_connection() {
    let (a, other) = (Server::start("a"), Server::start("a"));
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("proxy.toml");
    let write = |server: &Server| {
        std::fs::write(&config, format!("backends = [\"{}\"]", server.addr())).unwrap();
    };
    write(&a);
    let proxy = start(&["--config", config.to_str().unwrap()]);
    let churn = Churn::start(&proxy.socket("listen"));
    for round in 0..10 {
        write([&other, &a][round % 2]);
        assert!(post(&proxy, "/reload").0.contains("200"));
        churn.goes_on();
    }
    std::fs::write(
        &config,
        format!("backends = [\"{}\", \"{}\"]", a.addr(), other.addr()),
    )
    .unwrap();
    assert!(post(&proxy, "/reload").0.contains("200"));
    for round in 0..10 {
        let server = [&other, &a][round % 2];
        assert!(
            post(&proxy, &format!("/backends/{}/drain", server.addr()))
                .0
                .contains("200")
        );
        churn.goes_on();
        assert!(
            post(&proxy, &format!("/backends/{}/enable", server.addr()))
                .0
                .contains("200")
        );
    }
    churn.end();
}

#[test]
fn sigterm_lets_connections_finish() {
    let a = Server::start("a");
    for driver in ["io_uring", "epoll"] {
        let mut proxy = start(&["--driver", driver, a.addr()]);
        let listen = proxy.socket("listen");
        let (mut client, _) = reach(&proxy);
        proxy.signal(Signal::TERM);
        eventually("the port to close", || {
            (!proc::is_listening(&listen)).then_some(())
        });
        assert_eq!(state(&proxy)["progress"]["phase"], "draining");
        echoes(&mut client);
        drop(client);
        assert!(proxy.wait().success(), "{}", proxy.describe());
    }
}

#[test]
fn a_socket_from_systemd_is_taken() {
    let a = Server::start("a");
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap().to_string();
    let fd = std::os::fd::OwnedFd::from(socket);
    // The shell knows its own process id, and stays the same process.
    let script = format!(
        "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\" 3<&{}",
        std::os::fd::AsRawFd::as_raw_fd(&fd)
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script, PROXY, "tcp", "--listen", &at, a.addr()]);
    let _proxy = Program::spawn(command, Some(fd));
    let mut client = Peer::connect(&at);
    client.expect("a");
}
