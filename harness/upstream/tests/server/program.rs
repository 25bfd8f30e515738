//! The server as a process of its own, and clients of it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use service::ready::Ready;

/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A server that ends with its test.
pub(crate) struct Program {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) addr: SocketAddr,
}

/// How a server has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts the server on a free port and waits until it is ready.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_upstream-server")), flags)
    }

    /// Starts the server by a command that takes its flags.
    pub(crate) fn spawn(mut command: Command, flags: &[&str]) -> Self {
        // Without CLOEXEC, so that the child has the write end under the same number.
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let fd = rustix::fd::AsRawFd::as_raw_fd(&writer).to_string();
        let mut child = command
            .args(["foo", "--listen", "127.0.0.1:0", "--ready-fd", &fd])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(writer);
        let mut line = String::new();
        BufReader::new(File::from(reader))
            .read_line(&mut line)
            .unwrap();
        let ready: Ready = serde_json::from_str(&line).unwrap();
        assert_eq!(ready.ready, "upstream foo");
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self {
            stdout,
            addr: ready.sockets["listen"].parse().unwrap(),
            child,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.addr, DEADLINE).unwrap();
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
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Waits for the end that something else brings about.
    pub(crate) fn wait(mut self) -> Ended {
        let mut stderr = self.child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let status = self.exit();
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        Ended {
            status,
            stdout: text,
            stderr: stderr.join().unwrap(),
        }
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    fn exit(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "the server does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
