//! What every program of this workspace shares.
//!
//! In reading order: [`cli`] turns arguments into a run and errors into one line and an
//! exit code, [`units`] and [`addr`] parse what people type, [`logging`] sets up stderr,
//! [`limits`] raises what the process may hold, [`ready`] tells a supervisor which sockets are open, [`signals`] says when to stop,
//! [`admin`] answers HTTP, [`clock`] is the one clock that all processes agree on.
//!
//! Nothing here knows a protocol.

pub mod addr;
pub mod admin;
pub mod cli;
pub mod clock;
pub mod limits;
pub mod logging;
pub mod ready;
pub mod signals;
pub mod units;
