//! The `fuzzclient` executable, built with the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    fuzzclient::main()
}
