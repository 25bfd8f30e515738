//! The links with faults as an executable of their own, built with the tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    toxics::main()
}
