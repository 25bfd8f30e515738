//! The management port: every command, as every client says it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::eventually;

use crate::node::Node;
use crate::started::{Proxy, keys};

/// `nc` as Debian has it, which the examples of the replaced proxies are written for.
const NC: &str = "/usr/bin/nc.openbsd";

/// What the management port says to this without a newline and without an end, up to and
/// including `last`.
fn unterminated(proxy: &Proxy, command: &str, last: &str) -> String {
    if Path::new(NC).exists() {
        let (host, port) = split(&proxy.program.socket("management"));
        let mut child = Command::new(NC)
            .args(["-w1", &host, &port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(command.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("our own child");
        return String::from_utf8(output.stdout).expect("text");
    }
    eprintln!("SKIPPED: {NC} is not installed; a plain socket takes its place");
    let mut stream = proxy.manager();
    stream.write_all(command.as_bytes()).expect("it reads");
    until(&mut stream, last)
}

fn split(addr: &str) -> (String, String) {
    let (host, port) = addr.rsplit_once(':').expect("an address");
    (host.to_owned(), port.to_owned())
}

/// What comes, up to and including this.
fn until(stream: &mut TcpStream, last: &str) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(last.as_bytes()) {
        stream.read_exact(&mut byte).expect("more of the answer");
        answer.push(byte[0]);
    }
    String::from_utf8(answer).expect("text")
}

/// Takes the digits out, so that what is left can be compared.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    for c in text.chars() {
        match c.is_ascii_digit() {
            true if shape.ends_with('N') => {}
            true => shape.push('N'),
            false => shape.push(c),
        }
    }
    shape
}

const MEMSTATS: &str = "\
bytes allocated and in use: N
bytes allocated total: N
bytes obtained from system: N
number of pointer lookups: N
number of mallocs: N
number of frees: N
bytes allocated and still in use: N
bytes obtained from system: N
bytes in idle spans: N
bytes in non-idle span: N
bytes released to the OS: N
total number of allocated objects: N
";

#[test]
fn the_commands_of_the_replaced_proxies_get_their_answers() {
    let (a, b) = (Node::start(), Node::start());
    let proxy = Proxy::before(&[&a, &b], &[]);
    proxy.send("a:1|c\nb:1|c");
    proxy.accounted(2);
    for end in ["\n", "\r\n", ""] {
        let say = |command: &str| proxy.manage(format!("{command}{end}"));
        assert_eq!(say("ping"), "pong\n");
        assert_eq!(say("health"), "health: up\n");
        let stats = say("stats");
        let start = "time running in seconds: N\npackets_received: N.N\nlines_received: N\n";
        assert!(shape(&stats).starts_with(start), "{stats}");
        assert!(stats.contains("\npackets_received: 1.000000\n"), "{stats}");
        assert!(stats.contains("\nlines_received: 2\n"), "{stats}");
        assert!(stats.contains("\nlines_forwarded: 2\n"), "{stats}");
        assert_eq!(shape(&say("memstats")), MEMSTATS);
        let status = say("status");
        let nodes = format!("\nnodes: {} {}\n", a.name(), b.name());
        assert!(
            status.starts_with("uptime: ") && status.ends_with(&nodes),
            "{status}"
        );
        assert!(say("help").starts_with("Commands: ") && say("help").contains("memstats"));
        let config = say("config");
        for line in [
            format!("nodes > 1 > port: {}\n", b.port()),
            "checkInterval: 10000\n".to_owned(),
        ] {
            assert!(config.contains(&line), "{line}: {config}");
        }
        assert!(!config.contains("[object Object]"));
        assert_eq!(say("quit"), "");
    }
}

#[test]
fn a_command_without_an_end_is_answered() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &[]);
    assert_eq!(unterminated(&proxy, "ping", "\n"), "pong\n");
    assert_eq!(unterminated(&proxy, "ping\n", "\n"), "pong\n");
    let stats = unterminated(&proxy, "stats", "tcp_lines: 0\n");
    assert!(stats.contains("packets_received: 0.000000\n"), "{stats}");
    assert_eq!(unterminated(&proxy, "health", "\n"), "health: up\n");
    assert_eq!(unterminated(&proxy, "junk", "\n"), "ERROR\n");
    // The end that comes late is not another command.
    let mut stream = proxy.manager();
    stream.write_all(b"health").expect("it reads");
    assert_eq!(until(&mut stream, "\n"), "health: up\n");
    stream.write_all(b"\r\nping\n").expect("it reads");
    assert_eq!(until(&mut stream, "\n"), "pong\n");
    stream.write_all(b"ju").expect("it reads");
    stream.write_all(b"nk").expect("it reads");
    assert_eq!(until(&mut stream, "\n"), "ERROR\n");
    stream.write_all(b" and its end\nping\n").expect("it reads");
    assert_eq!(until(&mut stream, "\n"), "pong\n");
}

#[test]
fn several_commands_come_over_one_connection() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &[]);
    let answer = proxy.manage("ping\nhealth\r\nnonsense\n\nping\nquit\nping\n");
    assert_eq!(answer, "pong\nhealth: up\nERROR\nERROR\npong\n");
    let mut stream = proxy.manager();
    for _ in 0..50 {
        stream.write_all(b"ping\n").expect("it reads");
        assert_eq!(until(&mut stream, "\n"), "pong\n");
    }
    // A command in two pieces, however long the pause between them.
    stream.write_all(b"sta").expect("it reads");
    let mut other = proxy.manager();
    other.write_all(b"ping").expect("it reads");
    assert_eq!(until(&mut other, "\n"), "pong\n");
    stream.write_all(b"ts\n").expect("it reads");
    assert!(until(&mut stream, "\n").starts_with("time running in seconds: "));
}

#[test]
fn junk_is_an_error_and_nothing_more() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &[]);
    for junk in [
        &b"PING\n"[..],
        b"pingpong\n",
        b"%d%s%n\n",
        b"\xff\xfe\x00\n",
        b"\x00\n",
        b"\n",
        b"constructor\n",
        b"GET / HTTP/1.1\n",
    ] {
        assert_eq!(proxy.manage(junk), "ERROR\n", "{}", junk.escape_ascii());
    }
    let long = [&vec![b'x'; 1_000_000][..], b"\nping\n"].concat();
    assert_eq!(proxy.manage(long), "ERROR\npong\n");
    let long_and_no_end = vec![b' '; 100_000];
    assert_eq!(proxy.manage(long_and_no_end), "ERROR\n");
    proxy.send("a:1|c");
    proxy.accounted(1);
}

#[test]
fn silent_clients_keep_nobody_waiting() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &[]);
    let mut silent: Vec<_> = (0..300).map(|_| proxy.manager()).collect();
    for (nth, stream) in silent.iter_mut().enumerate() {
        if nth % 3 == 0 {
            // Some begin a command and never end it; who was let go may have reset it.
            let _ = stream.write_all(b"sta");
        }
    }
    for nth in 0..20 {
        assert_eq!(proxy.manage("ping\n"), "pong\n");
        proxy.send(format!("a:{nth}|c"));
    }
    proxy.accounted(20);
    // Those that were silent longest have made room.
    let first = &mut silent[0];
    eventually("the first to be let go", || match first.read(&mut [0]) {
        Ok(0) | Err(_) => Some(()),
        Ok(_) => None,
    });
}

#[test]
fn a_client_that_reads_nothing_keeps_nobody_waiting() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &[]);
    let mut greedy = proxy.manager();
    greedy.set_nonblocking(true).expect("a socket");
    let commands = "memstats\n".repeat(1_000);
    // Until neither side takes any more.
    while greedy.write(commands.as_bytes()).is_ok() {}
    assert_eq!(proxy.manage("ping\n"), "pong\n");
}

#[test]
fn health_is_what_the_operator_says() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &[]);
    let healthz = || tests::admin::http(&proxy.program.socket("admin"), "GET /healthz HTTP/1.1").0;
    assert!(healthz().starts_with("HTTP/1.1 200"));
    assert_eq!(
        proxy.manage("health DOWN\nhealth\n"),
        "health: down\nhealth: down\n"
    );
    assert!(healthz().starts_with("HTTP/1.1 503"));
    assert_eq!(proxy.state()["health"], "down");
    // It goes on all the same, for those that have not moved yet.
    proxy.send("a:1|c");
    proxy.accounted(1);
    assert_eq!(proxy.manage("health sideways\n"), "health: down\n");
    assert_eq!(proxy.manage("health up\n"), "health: up\n");
    assert!(healthz().starts_with("HTTP/1.1 200"));
}

#[test]
fn memory_is_told_as_it_is() {
    let node = Node::start();
    let proxy = Proxy::before(&[&node], &["--threads", "1"]);
    let figures = || -> Vec<u64> {
        let text = proxy.manage("memstats\n");
        let value = |line: &str| {
            line.rsplit(' ')
                .next()
                .expect("a value")
                .parse()
                .expect(line)
        };
        text.lines().map(value).collect()
    };
    let before = figures();
    let rss = tests::proc::status_kib(proxy.program.pid(), "VmRSS") * 1024;
    // What is allocated and touched is resident; buffers may not be touched yet.
    assert!(
        before[0] > 100_000 && before[2] < 64 * rss,
        "{before:?} {rss}"
    );
    for key in keys(10) {
        proxy.send(format!("{key}:1|c"));
    }
    proxy.accounted(10);
    let after = figures();
    // Totals only grow, and what is left is their difference.
    for nth in [1, 4, 5] {
        assert!(after[nth] > before[nth], "{before:?} {after:?}");
    }
    assert_eq!(after[11], after[4] - after[5]);
    assert_eq!(after[7], after[8] + after[9]);
    assert_eq!(after[0], after[6]);
    let data = tests::proc::status_kib(proxy.program.pid(), "VmData") * 1024;
    assert!(
        after[2] >= data / 2 && after[2] <= data * 2,
        "{after:?} {data}"
    );
}
