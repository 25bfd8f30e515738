//! `noop`: nothing happens, and it is counted.

use super::{Filter, Filtered, Queue};
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
    acts: Acts::OnTraffic(|_, _| Filtered::stage(Noop)),
};

#[derive(Debug)]
struct Noop;

impl Filter for Noop {
    fn pass(&mut self, item: Item, out: &mut Queue, context: &mut Context<'_>) {
        if let Item::Data(segment) = &item {
            context.touch(segment.bytes.len());
        }
        out.push(item);
    }

    fn update(&mut self, _: &Attributes) {}
}
