//! Bulk.
use crate::args::{BulkArg, LoadArgs};
use crate::config::Config;
use crate::idle::IdlePlan;
use std::process::ExitCode;

/// A bulk transfer.
#[derive(Clone, Debug)]
pub struct BulkPlan {
    /// Which way.
    pub direction: BulkArg,
    /// Bytes on each connection, if they are limited.
    pub bytes: Option<u64>,
    /// Seed of the bytes.
    pub seed: u64,
    /// Whether what is received is checked.
    pub verify: bool,
}

pub(crate) fn carry_out(_: &LoadArgs, _: &Config, _: &BulkPlan, _: Option<&IdlePlan>) -> ExitCode {
    ExitCode::from(1)
}
