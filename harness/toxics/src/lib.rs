//! Links with faults, and a control API that Toxiproxy's clients speak.
//!
//! A *link* is a relay between two parties, over TCP or UDP. A *toxic* is a fault on one
//! direction of a link. In reading order: [`toxic`] is what a toxic is, with its
//! [`attributes`], [`catalogue`] every kind there is; [`item`] is what travels, [`stage`]
//! what each kind makes of it, [`lane`] one direction of one connection, all without I/O;
//! [`decision`] is where chance comes from, [`evidence`] what is counted and logged of it,
//! [`record`] the counts as data; [`link`] is what workers and control share, [`worker`]
//! moves the bytes, [`control`] changes links, [`api`] is HTTP, `cli` the command line.
//!
//! What decides is a pure function of seed, link, connection, direction and offset; how
//! exactly all of it is kept is measured by `cargo run --release -p toxics --example
//! accuracy`. It knows no scenarios and no verdicts.

pub mod api;
pub mod attributes;
pub mod catalogue;
mod cli;
pub mod control;
pub mod decision;
pub mod error;
pub mod evidence;
pub mod item;
pub mod lane;
pub mod link;
pub mod record;
pub mod stage;
pub mod toxic;
pub mod worker;

use std::ffi::OsString;
use std::process::ExitCode;

pub use record::ToxicsRecord;

/// Runs with the arguments of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect())
}

/// Runs with these arguments; the first is the program's name.
#[must_use]
pub fn run(args: Vec<OsString>) -> ExitCode {
    cli::run(args)
}
