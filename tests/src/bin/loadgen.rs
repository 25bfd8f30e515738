//! The `loadgen` executable, built with the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadgen::main()
}
