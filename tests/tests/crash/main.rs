//! `harness crash`, `replay`, `minimize` and `corpus`, end to end: real targets that really
//! die.

mod bad_input;
mod command;
mod hunter;
mod modes;
mod planted;
mod running;
