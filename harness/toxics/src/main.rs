//! The links' own executable; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    toxics::main()
}
