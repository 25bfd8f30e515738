//! The published JSON Schema of the run file, and whether it is true.

/// The JSON Schema of [`crate::run::RunFile`].
pub const RUN: &str = include_str!("../run.schema.json");

#[cfg(test)]
mod tests;
