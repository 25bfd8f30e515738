//! Toxics that decide about each item as it comes and delay nothing.

use super::{Cut, Queue, Stage, Step};
use crate::attributes::Attributes;
use crate::evidence::Context;
use crate::item::Item;

/// Decides what becomes of each item.
pub trait Filter: Send + std::fmt::Debug {
    /// Takes an item, and gives to `out` what becomes of it.
    fn pass(&mut self, item: Item, out: &mut Queue, context: &mut Context<'_>);

    /// What the clock asks of it.
    fn cut(&mut self, out: &mut Queue, context: &mut Context<'_>) -> Cut {
        let _ = (out, context);
        Cut::None
    }

    /// Takes new attributes.
    fn update(&mut self, attributes: &Attributes);

    /// What moves on when the toxic goes.
    fn release(&mut self, out: &mut Queue) -> Vec<Item> {
        out.take()
    }
}

/// The stage of a filter: what has passed waits for room behind it.
#[derive(Debug)]
pub struct Filtered<F> {
    filter: F,
    passed: Queue,
}

impl<F: Filter + 'static> Filtered<F> {
    /// The stage of this filter.
    pub fn stage(filter: F) -> Box<dyn Stage> {
        let passed = Queue::default();
        Box::new(Self { filter, passed })
    }
}

impl<F: Filter> Stage for Filtered<F> {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        self.filter.pass(item, &mut self.passed, context);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Step {
        self.passed.pop().map_or(Step::Wait(None), Step::Item)
    }

    fn held(&self) -> usize {
        self.passed.cost()
    }

    fn cut(&mut self, context: &mut Context<'_>) -> Cut {
        self.filter.cut(&mut self.passed, context)
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        self.filter.update(attributes);
    }

    fn release(&mut self) -> Vec<Item> {
        self.filter.release(&mut self.passed)
    }
}
