//! Handing over to a successor: the program at our own path is started anew with our
//! arguments and inherits the listening sockets. Connections that wait to be accepted are
//! its as much as ours, so that none is lost whoever accepts them.
//!
//! What is inherited is named in the environment: [`ENVIRONMENT`] holds the numbers of
//! the descriptors. Sockets from systemd (`LISTEN_FDS`) are taken as well.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::io::FdFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};
use service::ready::{InheritedFd, Ready};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

/// The variable that says what is inherited.
const ENVIRONMENT: &str = "PROXY_TCP_UPGRADE";

/// Time for a successor to be ready: its names must resolve and its first checks end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A longer ready line is none of ours.
const MAX_READY_BYTES: usize = 64 * 1024;

/// What a successor inherits, by number of descriptor.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Inheritance {
    listen: i32,
    admin: Option<i32>,
    ready: i32,
    /// Who hands over, and how it talks to the kernel.
    from: u32,
    driver: String,
    #[serde(default)]
    states: Vec<AdminOrder>,
}

/// A backend that an operator has taken out: that goes on in the successor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AdminOrder {
    pub(super) pool: String,
    /// Its address as given, and as resolved: what it is called may differ in the successor.
    pub(super) given: String,
    pub(super) address: SocketAddr,
    pub(super) state: String,
}

/// What this process has inherited.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    pub(super) listen: Option<OwnedFd>,
    pub(super) admin: Option<OwnedFd>,
    /// Where to say that we are ready.
    pub(super) ready: Option<InheritedFd>,
    /// Who handed over.
    pub(super) from: Option<u32>,
    /// It accepts from the socket through epoll: so must we as long as it does, because a
    /// socket blocks for both or for none.
    pub(super) by_epoll: bool,
    pub(super) states: Vec<AdminOrder>,
}

impl Inherited {
    /// Takes what the environment names.
    ///
    /// # Errors
    /// That something is named that is not there.
    pub(super) fn take() -> Result<Self> {
        if let Ok(text) = std::env::var(ENVIRONMENT) {
            let given: Inheritance = serde_json::from_str(&text)
                .with_context(|| format!("{ENVIRONMENT} is {text:?}"))?;
            return Ok(Self {
                listen: Some(open(given.listen)?),
                admin: given.admin.map(open).transpose()?,
                ready: Some(number(given.ready)?),
                from: Some(given.from),
                by_epoll: given.driver == "epoll",
                states: given.states,
            });
        }
        Self::from_systemd()
    }

    /// As in `sd_listen_fds(3)`: descriptors from 3 on, if they are meant for us.
    fn from_systemd() -> Result<Self> {
        let variable = |name| std::env::var(name).unwrap_or_default();
        if variable("LISTEN_PID").parse() != Ok(std::process::id()) {
            return Ok(Self::default());
        }
        let count: i32 = variable("LISTEN_FDS").parse().unwrap_or(0);
        let names = variable("LISTEN_FDNAMES");
        let mut names = names.split(':');
        let mut inherited = Self::default();
        for fd in 3..3 + count {
            let socket = open(fd)?;
            match names.next() {
                Some("admin") => inherited.admin = Some(socket),
                _ if inherited.listen.is_none() => inherited.listen = Some(socket),
                _ => bail!("systemd passed more than one socket to listen on"),
            }
        }
        Ok(inherited)
    }
}

fn number(fd: i32) -> Result<InheritedFd> {
    fd.to_string()
        .parse()
        .map_err(|error| anyhow!("{ENVIRONMENT}: {error}"))
}

/// Takes a listening socket over, and passes it on to nobody by accident. Whether it blocks
/// is the business of who accepts from it.
fn open(fd: i32) -> Result<OwnedFd> {
    let fd = OwnedFd::from(number(fd)?.open()?);
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    let listens = rustix::net::sockopt::socket_acceptconn(&fd);
    if listens != Ok(true) {
        bail!("descriptor {} is no listening socket", fd.as_raw_fd());
    }
    Ok(fd)
}

/// How to start this program again.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// This process's own. Call it early: a relative path is of the directory we are in.
    ///
    /// # Errors
    /// That the path is unknown.
    pub(super) fn current() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        // The path as it was given may lead to another file by the time of an upgrade;
        // that is what an upgrade is for.
        let path = if Path::new(&name).components().count() > 1 {
            std::path::absolute(&name)?
        } else {
            search(&name).map_or_else(std::env::current_exe, Ok)?
        };
        Ok(Self {
            path,
            arguments: without_ready_fd(arguments),
        })
    }

    /// Starts a successor and waits until it is ready; returns its process.
    ///
    /// # Errors
    /// Why there is none. Nothing of it is left then.
    pub(super) async fn succeed(
        &self,
        listen: impl AsFd,
        admin: Option<impl AsFd>,
        driver: &str,
        states: Vec<AdminOrder>,
    ) -> Result<u32> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let admin = admin.as_ref().map(|admin| admin.as_fd().as_raw_fd());
        let inheritance = Inheritance {
            listen: listen.as_fd().as_raw_fd(),
            admin,
            ready: writer.as_raw_fd(),
            from: std::process::id(),
            driver: driver.to_owned(),
            states,
        };
        let mut child = self.spawn(&inheritance)?;
        let pid = child.id().unwrap_or_default();
        tracing::info!("upgrade: process {pid} starts {}", self.path.display());
        drop(writer);
        let ready = tokio::time::timeout(PATIENCE, read_ready(reader)).await;
        match ready {
            Ok(Ok(ready)) if ready.pid == pid => {
                // It is on its own from here on; somebody has to reap it if it ends first.
                tokio::spawn(async move { child.wait().await });
                Ok(pid)
            }
            Ok(Ok(ready)) => Err(end(child, format!("process {} is ready", ready.pid)).await),
            Ok(Err(error)) => Err(end(child, error.to_string()).await),
            Err(_) => Err(end(child, format!("it was not ready after {PATIENCE:?}")).await),
        }
    }

    #[expect(
        unsafe_code,
        reason = "descriptors are passed on between fork and exec"
    )]
    fn spawn(&self, inheritance: &Inheritance) -> Result<Child> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env(ENVIRONMENT, serde_json::to_string(inheritance)?)
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_FDNAMES")
            .stdin(Stdio::null());
        let passed = [
            Some(inheritance.listen),
            inheritance.admin,
            Some(inheritance.ready),
        ];
        // SAFETY: between fork and exec only system calls are made, and the descriptors
        // are open: their owners outlive the call to `spawn`.
        unsafe {
            command.pre_exec(move || {
                for fd in passed.into_iter().flatten() {
                    let fd = std::os::fd::BorrowedFd::borrow_raw(fd);
                    rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
                }
                Ok(())
            });
        }
        command
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))
    }
}

/// Ends a successor that is of no use, and says why.
async fn end(mut child: Child, why: String) -> anyhow::Error {
    // It may have ended already.
    let _ = child.start_kill();
    match child.wait().await {
        Ok(status) => anyhow!("{why} ({status})"),
        Err(error) => anyhow!("{why} ({error})"),
    }
}

async fn read_ready(reader: OwnedFd) -> Result<Ready> {
    let mut reader =
        tokio::net::unix::pipe::Receiver::from_owned_fd(reader)?.take(MAX_READY_BYTES as u64);
    let mut line = String::new();
    reader.read_to_string(&mut line).await?;
    if line.is_empty() {
        bail!("the successor ended before it was ready; its log says why");
    }
    serde_json::from_str(&line).context("the successor's ready line is none")
}

fn search(name: &OsStr) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// The arguments for a successor: whoever waited for our ready line has had it.
fn without_ready_fd(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut skip = false;
    for argument in arguments {
        if std::mem::take(&mut skip) {
            continue;
        }
        let text = argument.to_string_lossy();
        let flag = text.strip_prefix("--").or(text.strip_prefix('-'));
        match flag {
            Some("ready-fd") => skip = true,
            Some(flag) if flag.starts_with("ready-fd=") => {}
            _ => kept.push(argument),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_gets_the_arguments_without_the_ready_descriptor() {
        let given = [
            "tcp",
            "--ready-fd",
            "7",
            "-ready-fd=8",
            "-laddr",
            ":1",
            "a:2",
        ];
        let kept = without_ready_fd(given.into_iter().map(OsString::from));
        assert_eq!(kept, ["tcp", "-laddr", ":1", "a:2"]);
    }
}
