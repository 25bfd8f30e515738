//! Toxics that know where a message ends: lines, as in Foo and statsd.
//!
//! Messages are numbered from 1, for each direction of each connection, from when the
//! toxic meets it. Foo answers in order: message N downstream is the reply to request N.
//! What is chosen is dropped, repeated, delayed, swapped with the next, corrupted,
//! replaced by the one before, or sent in two parts.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::{Queue, Stage, Step};
use crate::attributes::{Attribute, Attributes};
use crate::decision::purpose::{BIT, MESSAGE};
use crate::evidence::Context;
use crate::item::{Item, Medium, Segment};
use crate::toxic::{Acts, Fits, Kind};

/// The longest line that is waited for; of a longer one, parts of this size pass as
/// messages. Foo knows none beyond 64 KiB.
const MOST_LINE_BYTES: usize = 64 * 1024;

const NUMBER: Attribute = Attribute::count("number", "choose this message, from 1; 0: none");
const EVERY: Attribute = Attribute::count("every", "choose every n-th; 0: none");
const RATE: Attribute = Attribute::share("rate", 0.0, "choose a share of them");
const DELAY_MS: Attribute = Attribute::ms("delay", "delay in ms; what follows waits");
const DELAY_US: Attribute = Attribute::whole("delay", 0, 3_600_000_000, "pause in microseconds");

macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident, $effect:ident, $name:literal, $fits:ident, [$($more:ident)?], $line:literal;)*) => {$(
        $(#[$about])*
        pub static $kind: Kind = Kind {
            name: $name,
            about: $line,
            fits: Fits::$fits,
            attributes: &[NUMBER, EVERY, RATE, $($more)?],
            acts: Acts::OnTraffic(|attributes, _| {
                Box::new(Messages::new(Effect::$effect, attributes))
            }),
        };
    )*};
}

kinds! {
    /// Chosen messages never arrive.
    DROP, Drop, "message_drop", Both, [], "drop chosen messages (lines)";
    /// Chosen messages arrive twice.
    DUPLICATE, Duplicate, "message_duplicate", Both, [], "send chosen messages twice";
    /// Chosen messages, and those behind them, arrive later.
    DELAY, Delay, "message_delay", Both, [DELAY_MS], "delay chosen messages";
    /// Chosen messages change places with the next.
    SWAP, Swap, "message_swap", Both, [], "swap chosen messages with the next";
    /// A bit is flipped in chosen messages; they stay messages.
    CORRUPT, Corrupt, "message_corrupt", Both, [], "flip a bit in chosen messages, not in their end";
    /// The message before arrives in the place of chosen ones.
    STALE, Stale, "message_stale", Both, [], "send the message before in the place of chosen ones";
    /// Chosen messages arrive in two parts.
    SPLIT, Split, "message_split", Stream, [DELAY_US], "cut chosen messages in two, with a pause between";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Drop,
    Duplicate,
    Delay,
    Swap,
    Corrupt,
    Stale,
    Split,
}

impl Effect {
    fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Duplicate => "repeat",
            Self::Delay => "delay_ns",
            Self::Swap => "swap",
            Self::Corrupt => "flip_bit",
            Self::Stale => "stale",
            Self::Split => "split",
        }
    }
}

/// Something that leaves at a time.
#[derive(Debug)]
struct Ready {
    item: Item,
    wait_ns: u64,
}

#[derive(Debug)]
struct Messages {
    effect: Effect,
    number: u64,
    every: u64,
    rate: f64,
    delay_ns: u64,
    seen: u64,
    /// The beginning of a line whose end has not come.
    partial: Vec<Segment>,
    partial_bytes: usize,
    /// A message that waits for the next to pass it.
    swapped: Option<Segment>,
    last: Bytes,
    ready: VecDeque<Ready>,
    ready_cost: usize,
    /// When the wait of the first began.
    since_ns: Option<u64>,
}

impl Messages {
    fn new(effect: Effect, attributes: &Attributes) -> Self {
        let mut this = Self {
            effect,
            number: 0,
            every: 0,
            rate: 0.0,
            delay_ns: 0,
            seen: 0,
            partial: Vec::new(),
            partial_bytes: 0,
            swapped: None,
            last: Bytes::new(),
            ready: VecDeque::new(),
            ready_cost: 0,
            since_ns: None,
        };
        this.set(attributes);
        this
    }

    fn set(&mut self, attributes: &Attributes) {
        self.number = attributes.whole("number");
        self.every = attributes.whole("every");
        self.rate = attributes.share("rate");
        self.delay_ns = match self.effect {
            Effect::Delay => attributes.ms_as_ns("delay"),
            Effect::Split => attributes.whole("delay") * 1_000,
            _ => 0,
        };
    }

    fn is_chosen(&self, number: u64, context: &Context<'_>) -> bool {
        self.number == number
            || (self.every > 0 && number.is_multiple_of(self.every))
            || (self.rate > 0.0 && context.draws.unit(number, MESSAGE) < self.rate)
    }

    fn give(&mut self, item: Item, wait_ns: u64) {
        self.ready_cost += item.cost();
        self.ready.push_back(Ready { item, wait_ns });
    }

    fn give_segment(&mut self, segment: Segment) {
        self.give(Item::Data(segment), 0);
    }

    /// Takes the partial line as one segment.
    fn take_partial(&mut self) -> Option<Segment> {
        let mut parts = std::mem::take(&mut self.partial);
        self.partial_bytes = 0;
        if parts.len() == 1 {
            return parts.pop();
        }
        let first = parts.first()?.clone();
        let last = parts.last()?;
        let at_ns = last.at_ns;
        let joined: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
        Some(Segment {
            bytes: joined.into(),
            at_ns,
            ..first
        })
    }

    /// Decides about a whole message. What comes out of a datagram goes to `out`.
    fn message(&mut self, line: Segment, context: &mut Context<'_>) {
        self.seen += 1;
        let before = std::mem::replace(&mut self.last, line.bytes.clone());
        if let Some(held) = self.swapped.take() {
            self.give_segment(line);
            self.give_segment(held);
            return;
        }
        if !self.is_chosen(self.seen, context) {
            self.give_segment(line);
            return;
        }
        let (number, bytes) = (self.seen, line.bytes.len());
        let mut value = self.delay_ns;
        match self.effect {
            Effect::Drop => {}
            Effect::Duplicate => {
                self.give_segment(line.clone());
                self.give_segment(line);
            }
            Effect::Delay => self.give(Item::Data(line), self.delay_ns),
            Effect::Swap => self.swapped = Some(line),
            Effect::Corrupt => value = self.corrupt(line, number, context),
            Effect::Stale if before.is_empty() => {
                // There is none before the first.
                self.give_segment(line);
                return;
            }
            Effect::Stale => self.give_segment(Segment {
                bytes: before,
                ..line
            }),
            Effect::Split => value = self.split(line, number, context),
        }
        context.hit(number, bytes, self.effect.name(), value);
    }

    /// Flips a bit such that no line end comes or goes; tells which.
    fn corrupt(&mut self, line: Segment, number: u64, context: &Context<'_>) -> u64 {
        let text = line.bytes.strip_suffix(b"\n").unwrap_or(&line.bytes);
        if text.is_empty() {
            self.give_segment(line);
            return 0;
        }
        let place = context.draws.up_to(number, BIT, text.len() as u64 - 1);
        let at = usize::try_from(place).expect("within the line");
        let mut bytes = BytesMut::from(&line.bytes[..]);
        // The lowest bit turns one letter or digit into another, and nothing but a
        // vertical tab into a line end.
        let bit = if bytes[at] ^ 1 == b'\n' { 1 } else { 0 };
        bytes[at] ^= 1 << bit;
        self.give_segment(Segment {
            bytes: bytes.freeze(),
            ..line
        });
        place * 8 + bit
    }

    /// Cuts a line somewhere within; tells where.
    fn split(&mut self, mut line: Segment, number: u64, context: &Context<'_>) -> u64 {
        let len = line.bytes.len() as u64;
        if len < 2 {
            self.give_segment(line);
            return 0;
        }
        let cut = 1 + context.draws.up_to(number, BIT, len - 2);
        let at = usize::try_from(cut).expect("within the line");
        let head = line.split_to(at);
        self.give_segment(head);
        self.give(Item::Data(line), self.delay_ns);
        cut
    }

    /// A part of a stream: whole lines are messages, the rest waits.
    fn stream(&mut self, mut segment: Segment, context: &mut Context<'_>) {
        while !segment.bytes.is_empty() {
            let room = MOST_LINE_BYTES - self.partial_bytes;
            let window = &segment.bytes[..room.min(segment.bytes.len())];
            let end = memchr::memchr(b'\n', window);
            let len = end.map_or(window.len(), |end| end + 1);
            self.partial.push(segment.split_to(len));
            self.partial_bytes += len;
            if (end.is_some() || len == room)
                && let Some(line) = self.take_partial()
            {
                self.message(line, context);
            }
        }
    }

    /// A datagram: its lines are messages, and what is left of it is one datagram again.
    fn datagram(&mut self, segment: &Segment, context: &mut Context<'_>) {
        let from = self.ready.len();
        for line in segment.bytes.split_inclusive(|byte| *byte == b'\n') {
            self.message(
                Segment {
                    bytes: segment.bytes.slice_ref(line),
                    ..*segment
                },
                context,
            );
        }
        // A line cannot leave its datagram: it is swapped within it, or not at all.
        if let Some(held) = self.swapped.take() {
            self.give_segment(held);
        }
        let parts: Vec<Ready> = self.ready.drain(from..).collect();
        let mut wait_ns = 0;
        let mut bytes = BytesMut::new();
        for part in parts {
            self.ready_cost -= part.item.cost();
            wait_ns = wait_ns.max(part.wait_ns);
            if let Item::Data(line) = part.item {
                // The last line of a datagram needs no end; one that is not last does.
                if !bytes.is_empty() && !bytes.ends_with(b"\n") {
                    bytes.extend_from_slice(b"\n");
                }
                bytes.extend_from_slice(&line.bytes);
            }
        }
        if !bytes.is_empty() {
            let item = Item::Data(Segment {
                bytes: bytes.freeze(),
                ..*segment
            });
            self.give(item, wait_ns);
        }
    }
}

impl Stage for Messages {
    fn feed(&mut self, item: Item, context: &mut Context<'_>) {
        match (item, context.medium) {
            (Item::Data(segment), Medium::Stream) => self.stream(segment, context),
            (Item::Data(segment), Medium::Datagram) => self.datagram(&segment, context),
            (end, _) => {
                // What never got its end is no message, and passes.
                if let Some(held) = self.swapped.take() {
                    self.give_segment(held);
                }
                if let Some(rest) = self.take_partial() {
                    self.give_segment(rest);
                }
                self.give(end, 0);
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Step {
        let Some(first) = self.ready.front() else {
            return Step::Wait(None);
        };
        if first.wait_ns > 0 {
            let since_ns = *self.since_ns.get_or_insert(context.now_ns);
            let due_ns = since_ns + first.wait_ns;
            if due_ns > context.now_ns {
                return Step::Wait(Some(due_ns));
            }
        }
        self.since_ns = None;
        let Some(first) = self.ready.pop_front() else {
            return Step::Wait(None);
        };
        self.ready_cost -= first.item.cost();
        Step::Item(first.item)
    }

    fn held(&self) -> usize {
        self.ready_cost + self.partial_bytes
    }

    fn update(&mut self, attributes: &Attributes, _: u64) {
        self.set(attributes);
    }

    fn release(&mut self) -> Vec<Item> {
        let mut queue = Queue::default();
        for ready in self.ready.drain(..) {
            queue.push(ready.item);
        }
        self.ready_cost = 0;
        for segment in self.swapped.take().into_iter().chain(self.take_partial()) {
            queue.push(Item::Data(segment));
        }
        queue.take()
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
