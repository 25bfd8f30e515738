//! The harness's own executable; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::main()
}
