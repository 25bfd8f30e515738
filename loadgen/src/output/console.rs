//! What `loadgen check` prints.

use std::io::{self, Write};

/// Stdout, for dots and lines. Whoever reads it may stop reading.
#[derive(Default)]
pub(crate) struct Console {
    within_line: bool,
}

impl Console {
    /// Prints a dot at once.
    pub(crate) fn dot(&mut self) {
        let _ = io::stdout().write_all(b".");
        let _ = io::stdout().flush();
        self.within_line = true;
    }

    /// Prints the rest of a line.
    pub(crate) fn line(&mut self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
        self.within_line = false;
    }
}
