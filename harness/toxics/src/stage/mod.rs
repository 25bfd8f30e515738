//! Stages: what a toxic makes of one direction of one connection, without any I/O.
//!
//! A stage is fed what was received and asked for what may leave. It holds what it delays,
//! within [`Stage::limit`]; when it is full, what is before it waits, and in the end the
//! sender does. A [`Filter`] is the smaller thing to write for what delays nothing. One
//! file for each toxic.

pub mod bandwidth;
mod blocks;
pub mod close_after;
pub mod corrupt;
pub mod duplicate;
mod filter;
pub mod latency;
pub mod limit_data;
pub mod loss;
pub mod message;
pub mod noop;
mod queue;
pub mod reorder;
pub mod reset_peer;
pub mod slicer;
pub mod slow_close;
pub mod stall;
pub mod timeout;
pub mod truncate;

#[cfg(test)]
pub(crate) mod tests;

pub use filter::{Filter, Filtered};
pub use queue::Queue;

use crate::attributes::Attributes;
use crate::evidence::Context;
use crate::item::Item;

/// What most stages may hold: a few reads, so that a sender soon feels what is slow.
pub const LIMIT_BYTES: usize = 128 * 1024;

/// What leaves a stage.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// This, now.
    Item(Item),
    /// Nothing before this time; `None`: nothing until it is fed or changed.
    Wait(Option<u64>),
}

/// What a stage does to its connection by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    None,
    /// Ask again at this time.
    At(u64),
    /// End the connection behind what has left this stage. Said once.
    Close,
    /// Reset the connection, whatever is on its way.
    Reset,
}

/// One toxic on one direction of one connection.
pub trait Stage: Send + std::fmt::Debug {
    /// Takes the next item.
    fn feed(&mut self, item: Item, context: &mut Context<'_>);

    /// Gives the next item that may leave.
    fn poll(&mut self, context: &mut Context<'_>) -> Step;

    /// What it holds, as [`Item::cost`] counts.
    fn held(&self) -> usize;

    /// What it may hold.
    fn limit(&self) -> usize {
        LIMIT_BYTES
    }

    /// Whether it takes more at all; one that does not stops the sender.
    fn is_open(&self) -> bool {
        true
    }

    /// What the clock asks of it.
    fn cut(&mut self, context: &mut Context<'_>) -> Cut {
        let _ = context;
        Cut::None
    }

    /// Takes new attributes; what it holds is treated by them from now on.
    fn update(&mut self, attributes: &Attributes, now_ns: u64);

    /// Gives back what it holds, in order, when the toxic goes.
    fn release(&mut self) -> Vec<Item>;
}
