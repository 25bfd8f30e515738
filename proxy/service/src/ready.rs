//! Telling a supervisor that a program is ready, and which sockets it has open.
//!
//! One JSON line goes to the descriptor that the supervisor names with `--ready-fd`, so
//! that stdout holds nothing but results:
//! `{"ready":"proxy foo","pid":4711,"sockets":{"listen":"127.0.0.1:8002"}}`.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The line that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The program and its mode.
    pub ready: String,
    /// Its process.
    pub pid: u32,
    /// Every bound socket, by role.
    pub sockets: std::collections::BTreeMap<String, String>,
}

impl Ready {
    /// The line of this process.
    pub fn new<'a>(name: &str, sockets: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let sockets = sockets
            .into_iter()
            .map(|(role, at)| (role.to_owned(), at))
            .collect();
        Self {
            ready: name.to_owned(),
            pid: std::process::id(),
            sockets,
        }
    }

    /// Writes the line to `fd`, if there is one, and closes it.
    ///
    /// # Errors
    /// That the descriptor cannot be written.
    pub fn announce(&self, fd: Option<InheritedFd>) -> io::Result<()> {
        let Some(fd) = fd else { return Ok(()) };
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        fd.open()?.write_all(line.as_bytes())
    }
}

/// The number of a descriptor that was open when this process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InheritedFd(RawFd);

impl InheritedFd {
    /// Takes the descriptor over; closing it is the caller's.
    ///
    /// # Errors
    /// That no such descriptor is open.
    #[expect(
        unsafe_code,
        reason = "a descriptor that was passed by number has no other way in"
    )]
    pub fn open(self) -> io::Result<File> {
        // SAFETY: the borrow ends with this statement; a closed descriptor makes the
        // call fail.
        rustix::io::fcntl_getfd(unsafe { std::os::fd::BorrowedFd::borrow_raw(self.0) }).map_err(
            |error| {
                io::Error::new(
                    io::Error::from(error).kind(),
                    format!("descriptor {} is not open", self.0),
                )
            },
        )?;
        // SAFETY: it is open, and by the contract of the flag that named it, ours.
        Ok(File::from(unsafe { OwnedFd::from_raw_fd(self.0) }))
    }
}

impl FromStr for InheritedFd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<RawFd>()
            .ok()
            .filter(|fd| *fd > 2)
            .map(Self)
            .ok_or_else(|| {
                format!("expected the number of an open descriptor above 2, got {text:?}")
            })
    }
}
