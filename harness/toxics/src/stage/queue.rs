//! Items in order, and what they cost.

use std::collections::VecDeque;

use crate::item::{Item, Segment};

/// Items in order.
#[derive(Debug, Default)]
pub struct Queue {
    items: VecDeque<Item>,
    cost: usize,
}

impl Queue {
    /// Adds one behind all others.
    pub fn push(&mut self, item: Item) {
        self.cost += item.cost();
        self.items.push_back(item);
    }

    /// Puts one before all others.
    pub fn push_front(&mut self, item: Item) {
        self.cost += item.cost();
        self.items.push_front(item);
    }

    /// Takes the first.
    pub fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.cost -= item.cost();
        Some(item)
    }

    /// Takes the first `len` bytes of the first, which must be a segment of at least as
    /// many; all of it if they are all.
    pub fn split(&mut self, len: usize) -> Segment {
        let Some(Item::Data(segment)) = self.items.front_mut() else {
            unreachable!("only what was seen to be a segment is split");
        };
        if len < segment.bytes.len() {
            self.cost -= len;
            return segment.split_to(len);
        }
        match self.pop() {
            Some(Item::Data(segment)) => segment,
            _ => unreachable!("it was a segment"),
        }
    }

    /// The first.
    #[must_use]
    pub fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    /// What all of them cost.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes all of them.
    pub fn take(&mut self) -> Vec<Item> {
        self.cost = 0;
        self.items.drain(..).collect()
    }
}
