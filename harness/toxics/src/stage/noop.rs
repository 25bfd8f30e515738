//! `noop`: nothing happens, and it is counted.

use super::{Queue, Stage, Step};
use crate::attributes::Attributes;
use crate::evidence::Context;
use crate::item::Item;
use crate::toxic::{Acts, Fits, Kind};

/// The kind.
pub static KIND: Kind = Kind {
    name: "noop",
    about: "change nothing; what passes is counted",
    fits: Fits::Both,
    attributes: &[],
    acts: Acts::OnTraffic(|_, _| Box::new(Noop::default())),
};

#[derive(Debug, Default)]
struct Noop(Queue);

impl Stage for Noop {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        if let Item::Data(segment) = &item {
            context.touch(segment.bytes.len());
        }
        self.0.push(item);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Step {
        self.0.pop().map_or(Step::Wait(None), Step::Item)
    }

    fn held(&self) -> usize {
        self.0.cost()
    }

    fn update(&mut self, _: &Attributes, _: u64) {}

    fn release(&mut self) -> Vec<Item> {
        self.0.take()
    }
}
