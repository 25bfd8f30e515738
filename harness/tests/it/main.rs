//! The harness as its users see it: what it refuses, and what it leaves behind.

mod ending;
mod program;
