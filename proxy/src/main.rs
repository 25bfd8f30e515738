//! The `proxy` executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxy::main()
}
