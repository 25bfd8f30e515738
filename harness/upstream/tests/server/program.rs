//! The server as a process of its own, and clients of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use service::ready::Ready;
use upstream::UpstreamRecord;

/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A server that ends with its test.
pub(crate) struct Program {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    pub(crate) addr: SocketAddr,
    /// All its sockets, by role.
    pub(crate) sockets: BTreeMap<String, String>,
}

/// How a server has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts the Foo server on a free port and waits until it is ready.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_after("", "foo", flags)
    }

    /// The same with another server.
    pub(crate) fn serve(mode: &str, flags: &[&str]) -> Self {
        Self::start_after("", mode, flags)
    }

    /// The same after shell commands that change what it is started with.
    pub(crate) fn start_after(commands: &str, mode: &str, flags: &[&str]) -> Self {
        let (ready, writer) = std::io::pipe().unwrap();
        // Not as a descriptor without CLOEXEC, which the servers of other tests would
        // inherit, but as stdin, which the shell puts where the server wants it.
        let mut command = Command::new("sh");
        let script = format!(r#"{commands} exec "$0" "$@" 3>&0 </dev/null"#);
        let mut child = command
            .args(["-c", &script])
            .arg(env!("CARGO_BIN_EXE_upstream-server"))
            .args([mode, "--listen", "127.0.0.1:0", "--ready-fd", "3"])
            .args(flags)
            .stdin(writer)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(command);
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let line = Lines::of(ready).next();
        let ready: Ready = serde_json::from_str(&line.expect("a ready line")).unwrap();
        assert_eq!(ready.ready, format!("upstream {mode}"));
        Self {
            child,
            stdout,
            stderr,
            addr: ready.sockets["listen"].parse().unwrap(),
            sockets: ready.sockets,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        self.connect_to("listen")
    }

    /// The same to the socket of this role.
    pub(crate) fn connect_to(&self, role: &str) -> TcpStream {
        let addr = self.sockets[role].parse().unwrap();
        let stream = TcpStream::connect_timeout(&addr, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends all of it on a new connection, ends our side, and reads to the end.
    pub(crate) fn exchange(&self, sent: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        received
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The next line on stdout.
    pub(crate) fn stdout_line(&mut self) -> String {
        self.stdout.next().expect("it still prints")
    }

    /// Waits until it logs this.
    pub(crate) fn expect_log(&mut self, text: &str) {
        while !self.stderr.seen.contains(text) {
            let line = self.stderr.next();
            assert!(line.is_some(), "no {text:?} in {}", self.stderr.seen);
        }
    }

    /// Waits for the end that something else brings about.
    pub(crate) fn wait(mut self) -> Ended {
        let printed = self.stdout.seen.len();
        let stdout = self.stdout.rest().split_off(printed);
        let stderr = self.stderr.rest();
        Ended {
            status: self.child.wait().unwrap(),
            stdout,
            stderr,
        }
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream as they come.
struct Lines {
    coming: Receiver<String>,
    seen: String,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, coming) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                // Nobody may be interested any more.
                let _ = sender.send(line + "\n");
            }
        });
        let seen = String::new();
        Self { coming, seen }
    }

    /// The next line; `None` at the end of the stream.
    fn next(&mut self) -> Option<String> {
        let line = match self.coming.recv_timeout(DEADLINE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing more after {:?}", self.seen),
        };
        self.seen.push_str(&line);
        Some(line)
    }

    /// All lines, once the stream has ended.
    fn rest(&mut self) -> String {
        while self.next().is_some() {}
        std::mem::take(&mut self.seen)
    }
}

impl Ended {
    /// The counts of an orderly end.
    pub(crate) fn record(&self) -> UpstreamRecord {
        assert_eq!(self.status.code(), Some(0), "{self:?}");
        let last = self.stdout.lines().last();
        let last = last.unwrap_or_else(|| panic!("no record: {self:?}"));
        serde_json::from_str(last).unwrap()
    }
}

/// Reads to the end, or to a reset.
pub(crate) fn read_all(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut received = Vec::new();
    let end = stream.read_to_end(&mut received);
    (received, end.err().map(|error| error.kind()))
}

/// Reads one line.
pub(crate) fn read_line(stream: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}
