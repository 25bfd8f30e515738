//! Running a program as a child process.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::io::FdFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};
use service::ready::Ready;

use crate::{DEADLINE, eventually};

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    command: String,
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    /// Nothing comes out of it; it is disconnected when both streams have ended.
    open_streams: Receiver<Infallible>,
    ready: Option<Ready>,
}

impl Program {
    /// Starts `executable` and waits until it is ready.
    #[must_use]
    pub fn start(executable: &str, args: &[&str]) -> Self {
        let mut command = Command::new(executable);
        command.args(args);
        Self::start_command(command)
    }

    /// Starts a command that takes `--ready-fd` and waits until it is ready.
    #[must_use]
    pub fn start_command(mut command: Command) -> Self {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        command
            .arg("--ready-fd")
            .arg(writer.as_raw_fd().to_string());
        let mut program = Self::spawn(command, Some(writer));
        let mut line = String::new();
        let read = BufReader::new(std::fs::File::from(reader)).read_line(&mut line);
        match read.ok().and_then(|_| serde_json::from_str(&line).ok()) {
            Some(ready) => program.ready = Some(ready),
            None => {
                let status = program.wait();
                panic!("not ready: {status}\n{}", program.describe());
            }
        }
        program
    }

    /// Starts a command and does not wait for anything.
    #[must_use]
    pub fn spawn(mut command: Command, passed: Option<OwnedFd>) -> Self {
        let text = format!("{command:?}");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(fd) = passed {
            // SAFETY: between fork and exec only one system call is made.
            #[expect(
                unsafe_code,
                reason = "a descriptor is passed on between fork and exec"
            )]
            unsafe {
                command.pre_exec(move || Ok(rustix::io::fcntl_setfd(&fd, FdFlags::empty())?));
            }
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let (is_open, open_streams) = channel();
        let out = child.stdout.take().expect("piped");
        let err = child.stderr.take().expect("piped");
        collect(out, Arc::clone(&stdout), is_open.clone());
        collect(err, Arc::clone(&stderr), is_open);
        drop(command);
        Self {
            command: text,
            child,
            stdout,
            stderr,
            open_streams,
            ready: None,
        }
    }

    /// The address of one of its sockets.
    #[must_use]
    pub fn socket(&self, role: &str) -> String {
        let ready = self.ready.as_ref().expect("started with a ready line");
        ready
            .sockets
            .get(role)
            .unwrap_or_else(|| panic!("no socket {role}: {ready:?}"))
            .clone()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal)
            .unwrap_or_else(|e| panic!("{signal:?}: {e}\n{}", self.describe()));
    }

    /// Waits for its end; both streams are complete then.
    pub fn wait(&mut self) -> ExitStatus {
        let ended = self.open_streams.recv_timeout(DEADLINE);
        assert_eq!(
            ended,
            Err(RecvTimeoutError::Disconnected),
            "still running after {DEADLINE:?}"
        );
        self.child.wait().expect("our own child")
    }

    /// What it has printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.lock().expect("readers do not panic").clone()
    }

    /// Waits for the next line that it prints because of `cause`.
    #[must_use]
    pub fn line_after(&self, cause: impl FnOnce(&Self)) -> String {
        let before = self.stdout().len();
        cause(self);
        eventually("a line on stdout", || {
            let line = self.stdout().split_off(before);
            // What has no end yet is not all of it.
            line.split_once('\n').map(|(line, _)| line.to_owned())
        })
    }

    /// Waits until it has logged this.
    pub fn expect_log(&self, text: &str) {
        // What it wrote before something that the test has seen may still be in the pipe.
        eventually(text, || self.stderr().contains(text).then_some(()));
    }

    /// What it has logged so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("readers do not panic").clone()
    }

    /// The command and both streams, for a failing test.
    #[must_use]
    pub fn describe(&self) -> String {
        let (command, out, err) = (&self.command, self.stdout(), self.stderr());
        format!("command: {command}\n--- stdout\n{out}\n--- stderr\n{err}")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.describe());
        }
    }
}

/// Collects a stream on a thread of its own, which drops `is_open` at its end.
fn collect(
    mut from: impl Read + Send + 'static,
    to: Arc<Mutex<String>>,
    is_open: Sender<Infallible>,
) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            to.lock()
                .expect("readers do not panic")
                .push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        drop(is_open);
    });
}
