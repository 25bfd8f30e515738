//! Telling what is wrong with this process from what is wrong with the other side.

use std::io;

use rustix::io::Errno;

/// Whether an error says something about this process, such as that descriptors or ports
/// have run out, and nothing about whom it wanted to talk to.
pub(crate) fn is_our_own(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::NOBUFS
                | Errno::NOMEM
                | Errno::ADDRNOTAVAIL
                | Errno::ADDRINUSE
        )
    )
}
