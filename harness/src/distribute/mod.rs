//! One load as shards on the machines of an engine that somebody else wrote: Slurm.
//!
//! In reading order: [`load`] checks the load before anything is submitted, [`script`]
//! writes the batch script, [`slurm`] speaks to Slurm through its commands, [`watch`]
//! waits for the job and tells what becomes of it, [`records`] knows which files the
//! shards leave and what is to be said of one that left none.
//!
//! It starts no process on another machine itself, and measures nothing: the shards'
//! files are all that it takes from them.

pub mod load;
pub mod records;
pub mod script;
pub mod slurm;
pub mod watch;
