//! The `harness` executable, built with the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::main()
}
