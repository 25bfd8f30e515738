//! The laws of balancing, through the public interface.

mod distribution;
mod ejection;
mod eligibility;
mod fleet;
mod hashing;
mod hashring;
mod health;
mod latency;
mod limits;
mod slow_start;
