//! What a finding of the fuzzer leaves behind, and how it is made as small as it can be.
//!
//! In reading order: [`session`] is what was sent, in order; [`finding`] what came of it and
//! who is to blame; [`stack`] finds the top of the stack in a target's last words; [`key`]
//! says when two findings are one; [`origin`] is how the bytes came about and what they were
//! sent to; [`verdict`] is the judgement with the list of files that seals the bundle;
//! [`repro`] writes a script that needs only `nc` and the target; [`files`] is the bundle on
//! disk, written whole or not at all and checked when it is read; [`store`] is a directory of
//! them; [`minimize`] makes a session smaller with the help of an oracle.
//!
//! It never starts a process, opens a socket or reads a clock; only `files` and `store` touch
//! the disk. Whoever orchestrates does the rest:
//!
//! * *crash*: start the target, let `fuzzclient` send with `--record FILE --keep N`, watch.
//!   At a finding make a [`Session`] of that recording ([`Session::recorded`]) and a
//!   [`Bundle`] of it, ask [`store::same`] whether it is known, and [`Bundle::write`] it. If
//!   that fails, as when the disk is full, the [`Finding`] is still there to be printed. Run
//!   the session again n times, and put how often it failed into [`Verdict::repeats`].
//! * *replay*: [`Bundle::read`], start [`Origin::processes`], send
//!   [`Bundle::smallest`], n times; k of n go to the terminal, 4 or 0 is the exit code.
//! * *minimize*: wrap the same as an [`Oracle`], one target for each call, on a port of its
//!   own, so that `jobs` of them may run at once; [`minimize`](minimize::minimize) it with
//!   [`Repeats::for_rate`] of what was seen; put the outcome in with [`Bundle::minimized`] and
//!   [`Bundle::rewrite`] it.
//! * *corpus add*: [`Bundle::smallest`] written as [`Session::to_input`] under the bundle's
//!   name: `fuzzclient --corpus` reads such files, of one connection or several.

pub mod files;
pub mod finding;
pub mod key;
pub mod minimize;
pub mod origin;
pub mod repro;
pub mod session;
pub mod stack;
pub mod store;
pub mod verdict;

pub use files::{Bundle, ReadError, WriteError};
pub use finding::{Death, Finding, Resource, What, Who};
pub use key::Key;
pub use minimize::{Minimized, Oracle, Progress, Repeats, Settings};
pub use origin::{Asked, Origin, Process, Turn};
pub use session::{Connection, Session, Size, Transport};
pub use verdict::Verdict;
