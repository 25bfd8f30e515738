//! Many records of shards, made the record of the whole, exactly.
//!
//! In reading order: [`name`] is what the file of a shard is called, [`refusal`] what keeps
//! shards from being merged, [`mod@merge`] reads the files on all cores. `read` makes a record of
//! a file, `own` checks it by itself and `together` beside the others; `part` is what is kept
//! of it. [`sparse`] reads its histograms as the few slots that they hold, [`pages`] is the
//! sum of many, `sums` has one for each slice of time. `add` adds counts, `notes` says what
//! shards said, `whole` puts the record together.
//!
//! It judges nothing and renders nothing, and it never averages: what cannot be added
//! exactly, such as a percentile, is computed anew from what can.

mod add;
pub mod merge;
pub mod name;
mod notes;
mod own;
pub mod pages;
mod part;
mod read;
pub mod refusal;
pub mod sparse;
mod sums;
mod together;
mod whole;

pub use merge::{find, merge};
pub use refusal::{Refusal, Refusals, Why};
