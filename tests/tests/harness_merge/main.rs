//! `harness merge`: the sum of shards is the whole, is judged as any run, and what is wrong
//! with a shard is told by name.

mod exact;
mod judged;
mod made;
mod real;
mod refused;

const HARNESS: &str = env!("CARGO_BIN_EXE_test-harness");
