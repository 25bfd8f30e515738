//! From what was seen to what it means: events, evidence, verdicts, renderings.
//!
//! In reading order: [`event`] is what a run says while it goes on ([`header`] what it knows
//! before), [`expect`] what a scenario demands (in the words of [`fate`], and with a [`bound`] on
//! its figures), [`evidence`] what one block of a run showed, [`run`] the run file,
//! [`schema`] describes it to others, [`fold`] makes it from events. [`health`] names what became of a process and [`words`] what it said, [`figures`]
//! adds up what the load clients measured, [`reconcile`] compares everybody's counts, [`account`] says
//! what became of every line of statsd,
//! [`verdict`] judges. [`mod@read`] takes a run file of any version. [`text`], [`html`], [`markdown`] and
//! [`junit`] render it for readers; [`csv`], [`hgrm`] and [`hlog`] hand its figures to other tools, the
//! latter two under the names of `tag`.
//!
//! Nothing here spawns, connects, reads a clock or touches a file: verdicts are pure
//! functions of evidence, and can be recomputed from a run file.

pub mod account;
pub mod bound;
pub mod broken;
pub mod capacity;
pub mod compare;
pub mod csv;
pub mod datagrams;
pub mod delivery;
pub mod event;
pub mod evidence;
pub mod expect;
pub mod fate;
pub mod fault;
pub mod figures;
#[cfg(test)]
mod fixtures;
pub mod fold;
pub mod header;
pub mod health;
pub mod hgrm;
pub mod hlog;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod read;
pub mod reconcile;
pub mod run;
pub mod schema;
pub mod tag;
pub mod text;
pub mod tournament;
pub mod verdict;
pub mod words;
