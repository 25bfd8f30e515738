//! From what was seen to what it means: events, evidence, verdicts, renderings.
//!
//! In reading order: [`event`] is what a run says while it goes on, [`expect`] what a
//! scenario demands ([`bound`] of its figures), [`evidence`] what one block of a run showed, [`run`] the run file,
//! [`schema`] describes it to others, [`fold`] makes it from events. [`health`] names what became of a process and [`words`] what it said, [`figures`]
//! adds up what the load clients measured, [`reconcile`] compares everybody's counts,
//! [`verdict`] judges. [`text`], [`markdown`] and [`junit`] render a run file.
//!
//! Nothing here spawns, connects, reads a clock or touches a file: verdicts are pure
//! functions of evidence, and can be recomputed from a run file.

pub mod bound;
pub mod capacity;
pub mod compare;
pub mod event;
pub mod evidence;
pub mod expect;
pub mod figures;
#[cfg(test)]
mod fixtures;
pub mod fold;
pub mod health;
pub mod junit;
pub mod markdown;
pub mod reconcile;
pub mod run;
pub mod schema;
pub mod text;
pub mod verdict;
pub mod words;
