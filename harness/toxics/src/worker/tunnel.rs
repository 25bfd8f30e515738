//! Bulk on a link without toxics: bytes move from socket to socket within the kernel.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// What a pipe is asked to hold. With 64 KiB, the kernel's default, the same work was seen
/// to cost half as much again.
const PIPE_BYTES: usize = 1024 * 1024;

/// A pipe of the kernel's between two sockets.
#[derive(Debug)]
pub(super) struct Tunnel {
    read: OwnedFd,
    write: OwnedFd,
    filled: usize,
}

impl Tunnel {
    /// Opens one, unless descriptors or the user's share of pipe memory ran out.
    pub(super) fn open() -> Option<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // A smaller one works as well.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Some(Self {
            read,
            write,
            filled: 0,
        })
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Takes what a socket has; 0 is its end. `None`: nothing now.
    pub(super) fn fill(&mut self, from: impl AsFd) -> Result<Option<usize>, Errno> {
        let moved = move_bytes(from, &self.write, PIPE_BYTES)?;
        self.filled += moved.unwrap_or(0);
        Ok(moved)
    }

    /// Gives a socket what it takes. `None`: nothing now.
    pub(super) fn empty(&mut self, to: impl AsFd) -> Result<Option<usize>, Errno> {
        let moved = move_bytes(&self.read, to, self.filled)?;
        self.filled -= moved.unwrap_or(0);
        Ok(moved)
    }
}

fn move_bytes(from: impl AsFd, to: impl AsFd, most: usize) -> Result<Option<usize>, Errno> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    loop {
        match splice(&from, None, &to, None, most, flags) {
            Ok(moved) => return Ok(Some(moved)),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
