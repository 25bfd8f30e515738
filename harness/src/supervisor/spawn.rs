//! Starting a child: the one place that needs `unsafe`.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;

use report::event::Limits;
use rustix::io::FdFlags;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::process::{Child, Command};

/// This executable, for a child that is to be the same program once more. By this name
/// it is the very file that runs now, even if another has been put in its place since.
pub const THIS_EXECUTABLE: &str = "/proc/self/exe";

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The flags after which it is given the numbers of descriptors to write to, such
    /// as `--ready-fd`.
    pub write_fds: Vec<&'static str>,
    /// Whether it may leave a core dump.
    pub core_dumps: bool,
    /// What it may use at most; as much as this process where nothing is said.
    pub limits: Limits,
}

impl Spec {
    /// Program and arguments, as events and messages show them.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let program = self.shown_program().display().to_string();
        std::iter::once(program)
            .chain(
                self.args
                    .iter()
                    .map(|arg| arg.to_string_lossy().into_owned()),
            )
            .collect()
    }

    /// The program, by a name that means the same to others.
    fn shown_program(&self) -> PathBuf {
        if self.program.as_os_str() == THIS_EXECUTABLE {
            std::env::current_exe().unwrap_or_else(|_| self.program.clone())
        } else {
            self.program.clone()
        }
    }
}

/// A child that has been started.
#[derive(Debug)]
pub struct Spawned {
    /// The process.
    pub child: Child,
    /// Its number, and that of its process group.
    pub pid: u32,
    /// What it writes to stdout.
    pub stdout: File,
    /// What it writes to stderr.
    pub stderr: File,
    /// What it writes to the descriptors of [`Spec::write_fds`], in their order.
    pub write_fds: Vec<File>,
}

/// Starts a child, in a process group of its own, that dies with this thread. Must be
/// called from the thread that lives as long as the harness, since the kernel ends the
/// child when its *thread* is gone, and needs a tokio runtime.
///
/// # Errors
/// That it cannot be started.
#[expect(
    unsafe_code,
    reason = "what a child does between fork and exec cannot be said otherwise"
)]
pub fn spawn(spec: &Spec) -> io::Result<Spawned> {
    let (stdout, their_stdout) = pipe()?;
    let (stderr, their_stderr) = pipe()?;
    let mut write_fds = Vec::new();
    let mut theirs: Vec<OwnedFd> = Vec::new();
    let mut command = Command::new(&spec.program);
    command.arg0(spec.shown_program());
    command
        .args(&spec.args)
        .stdin(Stdio::null())
        .stdout(their_stdout)
        .stderr(their_stderr)
        .process_group(0);
    for flag in &spec.write_fds {
        let (reader, writer) = pipe()?;
        command.arg(flag).arg(writer.as_raw_fd().to_string());
        write_fds.push(File::from(reader));
        theirs.push(writer);
    }
    let parent = rustix::process::getpid();
    let (core_dumps, limits) = (spec.core_dumps, spec.limits);
    let prepare = move || prepare(parent, core_dumps, limits, &theirs);
    // SAFETY: the closure only makes system calls, which are safe between fork and exec;
    // it neither allocates nor takes a lock.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn()?;
    let pid = child
        .id()
        .expect("a child that was just started has not been waited for");
    // The command holds our copies of their ends of the pipes; without this the pipes
    // would never end.
    drop(command);
    Ok(Spawned {
        child,
        pid,
        stdout: File::from(stdout),
        stderr: File::from(stderr),
        write_fds,
    })
}

/// Both ends stay with this process; the child's copy of its end is opened up for it
/// after the fork, so that no other child inherits it.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// Runs in the child, before it becomes the program.
fn prepare(parent: Pid, core_dumps: bool, limits: Limits, keep: &[OwnedFd]) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The harness may have died before the line above.
    if rustix::process::getppid() != Some(parent) {
        return Err(io::ErrorKind::NotFound.into());
    }
    if !core_dumps {
        rustix::process::setrlimit(
            Resource::Core,
            Rlimit {
                current: Some(0),
                maximum: Some(0),
            },
        )?;
    }
    for (resource, most) in [
        (Resource::Nofile, limits.descriptors),
        (Resource::As, limits.memory_bytes),
    ] {
        if most.is_some() {
            // Both, so that the program cannot raise it again.
            let limit = Rlimit {
                current: most,
                maximum: most,
            };
            rustix::process::setrlimit(resource, limit)?;
        }
    }
    for fd in keep {
        rustix::io::fcntl_setfd(fd.as_fd(), FdFlags::empty())?;
    }
    Ok(())
}

/// Sends a signal to one process. That it is gone is no error.
pub fn signal_process(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Sends a signal to a child's process group. That the group is gone is no error.
pub fn signal_group(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn shell(script: &str) -> Spec {
        Spec {
            program: "/bin/sh".into(),
            args: ["-c", script, "sh"].map(OsString::from).to_vec(),
            write_fds: vec!["--ready-fd"],
            ..Spec::default()
        }
    }

    fn read(mut pipe: File) -> String {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        text
    }

    #[tokio::test]
    async fn a_child_is_given_its_descriptors_and_no_core() {
        let script = "echo $1 > /proc/self/fd/$2; ulimit -c; echo oops >&2; exit 7";
        let mut spawned = spawn(&shell(script)).unwrap();
        assert_eq!(read(spawned.write_fds.remove(0)), "--ready-fd\n");
        assert_eq!(
            (read(spawned.stdout).as_str(), read(spawned.stderr).as_str()),
            ("0\n", "oops\n")
        );
        assert_eq!(spawned.child.wait().await.unwrap().code(), Some(7));
    }

    #[tokio::test]
    async fn a_limit_of_descriptors_cannot_be_raised() {
        let spec = Spec {
            limits: Limits {
                descriptors: Some(20),
                memory_bytes: None,
            },
            ..shell("ulimit -n; ulimit -n 21 2>&1 >/dev/null | wc -l")
        };
        let mut spawned = spawn(&spec).unwrap();
        assert_eq!(read(spawned.stdout), "20\n1\n");
        spawned.child.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_signal_reaches_the_whole_group() {
        let mut spawned = spawn(&shell("sleep 1000 & echo $!; wait")).unwrap();
        let mut first = [0; 2];
        spawned.stdout.read_exact(&mut first).unwrap();
        signal_group(spawned.pid, Signal::KILL);
        assert_eq!(spawned.child.wait().await.unwrap().signal(), Some(9));
        // The pipe ends when the last process that holds it is gone.
        read(spawned.stdout);
    }

    #[tokio::test]
    async fn what_is_no_program_is_an_error() {
        assert!(
            spawn(&Spec {
                program: "/nonexistent".into(),
                ..Spec::default()
            })
            .is_err()
        );
    }
}
