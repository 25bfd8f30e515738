//! Attacks a target until something is wrong with it, and keeps what shows it again.
//!
//! In reading order: [`target`] is what is attacked, [`words`] its command line, [`life`]
//! its processes from their start to their end, [`asked`] what they are asked in order to
//! know whether they live, [`watchers`] ask them, [`send`] sends garbage, [`rounds`] says
//! whose turn it is, [`history`] what was sent. [`hunt`] puts these together; [`judge`]
//! says what is wrong and with whom, [`leaks`] what is kept for ever. [`evidence`] writes
//! the bundles, and [`record`] is what a run came to; [`trial`] sends one again to a fresh target, which is what replaying and
//! minimising are made of.
//!
//! It never touches a process that it did not start, and prints nothing.

pub mod asked;
pub mod evidence;
pub mod history;
pub mod hunt;
pub mod judge;
pub mod leaks;
pub mod life;
pub mod record;
pub mod rounds;
pub mod send;
pub mod target;
pub mod trial;
pub mod watchers;
pub mod words;
