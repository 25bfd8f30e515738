//! The load client as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadgen::main()
}
