//! The `proxy` executable, built with the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxy::main()
}
