//! TLS: terminated here, and routed by name without being terminated.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tests::{Program, eventually, is_installed};

use crate::server::Server;
use crate::started::{start, state};

/// Certificates that vouch for themselves, in a directory.
struct Certificates(TempDir);

impl Certificates {
    fn new(names: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for name in names {
            let made =
                rcgen::generate_simple_self_signed([(*name).to_owned()]).expect("a certificate");
            fs::write(
                directory.path().join(format!("{name}.crt")),
                made.cert.pem(),
            )
            .expect("it is there");
            let key = made.signing_key.serialize_pem();
            fs::write(directory.path().join(format!("{name}.key")), key).expect("a file");
        }
        Self(directory)
    }

    fn file(&self, name: &str) -> String {
        self.0
            .path()
            .join(name)
            .to_str()
            .expect("a plain path")
            .to_owned()
    }

    /// The flags for one of them.
    fn flags(&self, name: &str) -> [String; 4] {
        let (cert, key) = (format!("{name}.crt"), format!("{name}.key"));
        [
            "--tls-cert".to_owned(),
            self.file(&cert),
            "--tls-key".to_owned(),
            self.file(&key),
        ]
    }
}

/// `openssl s_client`, which talks.
struct Client {
    child: Child,
}

impl Client {
    fn start(addr: &str, name: &str, trusted: &str, more: &[&str]) -> Self {
        let child = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                "-verify_return_error",
                "-connect",
                addr,
            ])
            .args([
                "-servername",
                name,
                "-verify_hostname",
                name,
                "-CAfile",
                trusted,
            ])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl");
        Self { child }
    }

    /// A line there and back, behind the server's name.
    fn exchange(&mut self, greeting: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(b"hello\n").expect("it reads");
        let mut line = String::new();
        let mut stdout = BufReader::new(self.child.stdout.as_mut().expect("piped"));
        stdout.read_line(&mut line).expect("it writes");
        if line != format!("{greeting}hello\n") {
            let mut errors = String::new();
            let _ = self.child.kill();
            let _ = self
                .child
                .stderr
                .as_mut()
                .expect("it is there")
                .read_to_string(&mut errors);
            panic!("got {line:?}: {errors}");
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn openssl_talks_to_a_terminating_balancer_in_each_version() {
    if !is_installed("openssl") {
        return;
    }
    let a = Server::start("a");
    let certificates = Certificates::new(&["one.example", "two.example"]);
    let flags = [
        certificates.flags("one.example"),
        certificates.flags("two.example"),
    ]
    .concat();
    for driver in ["io_uring", "epoll"] {
        let proxy = start(&[&strs(&flags)[..], &["--driver", driver, a.addr()]].concat());
        let listen = proxy.socket("listen");
        for (version, name) in [("-tls1_2", "one.example"), ("-tls1_3", "two.example")] {
            let trusted = certificates.file(&format!("{name}.crt"));
            Client::start(&listen, name, &trusted, &[version]).exchange("a");
        }
        assert_eq!(state(&proxy)["relay"]["tls_handshakes"], 2);
    }
}

#[test]
fn clients_may_have_to_have_a_certificate() {
    if !is_installed("openssl") {
        return;
    }
    let a = Server::start("a");
    let certificates = Certificates::new(&["one.example", "client.example"]);
    let flags = certificates.flags("one.example");
    let authority = certificates.file("client.example.crt");
    let more = ["--tls-client-ca", &authority, a.addr()];
    let proxy = start(&[&strs(&flags)[..], &more].concat());
    let trusted = certificates.file("one.example.crt");
    let key = certificates.file("client.example.key");
    let own = ["-cert", &authority, "-key", &key];
    let listen = proxy.socket("listen");
    Client::start(&listen, "one.example", &trusted, &own).exchange("a");
    let mut without = Client::start(&listen, "one.example", &trusted, &[]);
    let status = eventually("it to be turned away", || without.child.try_wait().unwrap());
    assert!(!status.success());
    eventually("it to be counted", || {
        (state(&proxy)["relay"]["tls_failed"] == 1).then_some(())
    });
}

#[test]
fn what_is_no_tls_is_closed_and_counted() {
    let a = Server::start("a");
    let certificates = Certificates::new(&["one.example"]);
    let flags = certificates.flags("one.example");
    let proxy = start(&[&strs(&flags)[..], &[a.addr()]].concat());
    let mut client = crate::started::connect(&proxy);
    client.send("GET / HTTP/1.1\r\nHost: one.example\r\n\r\n");
    // An alert, if anything.
    assert!(client.rest().0.len() < 100);
    assert_eq!(state(&proxy)["relay"]["tls_failed"], 1);
}

#[test]
fn names_choose_the_pool_without_termination() {
    if !is_installed("openssl") {
        return;
    }
    let (a, b) = (Server::start("a"), Server::start("b"));
    let certificates = Certificates::new(&["one.example", "w.two.example"]);
    let terminating = |name: &str, server: &Server| -> Program {
        let flags = certificates.flags(name);
        start(&[&strs(&flags)[..], &[server.addr()]].concat())
    };
    let one = terminating("one.example", &a);
    let two = terminating("w.two.example", &b);
    let config = certificates.file("proxy.toml");
    let text = format!(
        "[[pool]]\nname = \"one\"\nbackends = [\"{}\"]\n[[pool]]\nname = \"two\"\n\
         backends = [\"{}\"]\n[[route]]\nsni = \"*.two.example\"\npool = \"two\"\n",
        one.socket("listen"),
        two.socket("listen"),
    );
    fs::write(&config, text).unwrap();
    for driver in ["io_uring", "epoll"] {
        let router = start(&["--config", &config, "--driver", driver]);
        for (name, greeting) in [("one.example", "a"), ("w.two.example", "b")] {
            let trusted = certificates.file(&format!("{name}.crt"));
            Client::start(&router.socket("listen"), name, &trusted, &[]).exchange(greeting);
        }
        let mut garbage = crate::started::connect(&router);
        garbage.send("this is no hello\n");
        assert!(garbage.rest().0.len() < 100);
    }
}
