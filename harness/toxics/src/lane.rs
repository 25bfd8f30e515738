//! One direction of one connection: its stages, and what is on its way through them.
//!
//! Without I/O and without a clock: the worker feeds what it read, says what time it is
//! and writes what is [`out`](Lane::out). With no toxic on it the worker passes it by.

use std::sync::Arc;

use crate::decision::{Draws, purpose};
use crate::evidence::{Context, DecisionLog, Scope};
use crate::item::{Item, Medium};
use crate::link::{ActiveToxic, Chain, Link};
use crate::stage::{Cut, Queue, Stage, Step};
use crate::toxic::{Acts, Direction};

/// What may wait to be written: enough to fill a write, and little enough that a receiver
/// that does not read is soon felt by the sender.
const OUT_BYTES: usize = 128 * 1024;

/// What a stage may hold when all lanes together hold too much.
const POOR_BYTES: usize = 16 * 1024;

/// The time, and where decisions are told.
pub struct Moment<'a> {
    /// Now.
    pub now_ns: u64,
    /// Whether memory is short: stages hold little then.
    pub is_poor: bool,
    /// The log of decisions, if one is kept.
    pub log: Option<&'a mut DecisionLog>,
}

/// The connection must be reset at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetNow;

/// A toxic on this lane.
#[derive(Debug)]
struct Slot {
    toxic: Arc<ActiveToxic>,
    draws: Draws,
    touched: bool,
    /// None: this connection is spared.
    stage: Option<Box<dyn Stage>>,
}

impl Slot {
    fn new(toxic: &Arc<ActiveToxic>, lane: &Identity, now_ns: u64) -> Self {
        let name = &toxic.toxic.name;
        let draws = Draws::new(
            lane.link.seed,
            &lane.link.name,
            name,
            lane.connection,
            lane.direction,
        );
        let mut slot = Self {
            toxic: Arc::clone(toxic),
            draws,
            touched: false,
            stage: None,
        };
        slot.make_stage(now_ns);
        slot
    }

    /// Whether this connection is among the share that is affected: one draw for all time,
    /// so that an update of the share only adds or only spares connections.
    fn is_affected(&self) -> bool {
        self.draws.unit(0, purpose::AFFECTED) < self.toxic.toxic.toxicity
    }

    fn make_stage(&mut self, now_ns: u64) {
        if let Acts::OnTraffic(make) = self.toxic.toxic.kind.acts
            && self.stage.is_none()
            && self.is_affected()
        {
            self.stage = Some(make(&self.toxic.toxic.attributes, now_ns));
        }
    }

    /// Calls the stage, if there is one.
    fn with<T>(
        &mut self,
        lane: &Identity,
        moment: &mut Moment<'_>,
        call: impl FnOnce(&mut dyn Stage, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let stage = self.stage.as_mut()?;
        let scope = Scope {
            link: &lane.link.name,
            toxic: &self.toxic.toxic.name,
            connection: lane.connection,
            direction: lane.direction,
            counters: &self.toxic.counters,
        };
        let log = moment.log.as_deref_mut();
        let touched = &mut self.touched;
        let medium = lane.link.medium;
        let mut context = Context::new(moment.now_ns, medium, self.draws, scope, touched, log);
        Some(call(&mut **stage, &mut context))
    }

    fn has_room(&self, is_poor: bool) -> bool {
        self.stage.as_ref().is_none_or(|stage| {
            let limit = stage
                .limit()
                .min(if is_poor { POOR_BYTES } else { usize::MAX });
            stage.is_open() && stage.held() < limit
        })
    }
}

/// Which lane it is.
#[derive(Debug)]
struct Identity {
    link: Arc<Link>,
    connection: u64,
    direction: Direction,
}

/// One direction of one connection.
#[derive(Debug)]
pub struct Lane {
    identity: Identity,
    slots: Vec<Slot>,
    out: Queue,
    /// The offset of the next byte, or the number of the next datagram.
    offset: u64,
    due_ns: Option<u64>,
}

impl Lane {
    /// A lane on which nothing has travelled.
    #[must_use]
    pub fn new(
        link: &Arc<Link>,
        connection: u64,
        direction: Direction,
        chain: &Chain,
        moment: &mut Moment<'_>,
    ) -> Self {
        let mut lane = Self {
            identity: Identity {
                link: Arc::clone(link),
                connection,
                direction,
            },
            slots: Vec::new(),
            out: Queue::default(),
            offset: 0,
            due_ns: None,
        };
        lane.set_chain(chain, moment);
        lane
    }

    /// Whether no toxic is on it and nothing on its way, so that bytes may pass it by.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.slots.is_empty() && self.out.is_empty()
    }

    /// What waits to be written.
    pub fn out(&mut self) -> &mut Queue {
        &mut self.out
    }

    /// Counts bytes that passed it by.
    pub fn passed_by(&mut self, bytes: usize) {
        self.offset += bytes as u64;
    }

    /// Where the next byte lies in what the sender sent, or the next datagram's number.
    pub fn next_offset(&mut self, bytes: usize) -> u64 {
        let offset = self.offset;
        self.offset += match self.identity.link.medium {
            Medium::Stream => bytes as u64,
            Medium::Datagram => 1,
        };
        offset
    }

    /// When to [`advance`](Self::advance) it next, if nothing happens before.
    #[must_use]
    pub fn due_ns(&self) -> Option<u64> {
        // Without stages nothing is ever due, whatever was when they went.
        self.due_ns.filter(|_| !self.slots.is_empty())
    }

    /// Whether it takes more from the sender.
    #[must_use]
    pub fn has_room(&self, is_poor: bool) -> bool {
        // Whoever is open behind one that is not does not read either: the first decides,
        // once those behind it are full.
        match self.slots.iter().find(|slot| slot.stage.is_some()) {
            Some(slot) => slot.has_room(is_poor),
            None => self.out_has_room(),
        }
    }

    fn out_has_room(&self) -> bool {
        self.out.cost() < OUT_BYTES
    }

    /// What all of it costs to keep.
    #[must_use]
    pub fn held(&self) -> usize {
        let stages = self.slots.iter().filter_map(|slot| slot.stage.as_ref());
        stages.map(|stage| stage.held()).sum::<usize>() + self.out.cost()
    }

    /// Takes what came from the sender.
    pub fn feed(&mut self, item: Item, moment: &mut Moment<'_>) {
        self.feed_from(0, item, moment);
    }

    /// Gives an item to the first stage from this slot on, or to what waits to be written.
    fn feed_from(&mut self, slot: usize, item: Item, moment: &mut Moment<'_>) {
        let next = (slot..self.slots.len()).find(|i| self.slots[*i].stage.is_some());
        match next {
            Some(i) => {
                let identity = &self.identity;
                self.slots[i].with(identity, moment, |stage, context| stage.feed(item, context));
            }
            None => self.out.push(item),
        }
    }

    fn room_behind(&self, slot: usize, is_poor: bool) -> bool {
        let behind = self.slots[slot + 1..].iter();
        match behind.into_iter().find(|slot| slot.stage.is_some()) {
            Some(next) => next.has_room(is_poor),
            None => self.out_has_room(),
        }
    }

    /// Moves everything as far as it goes by now.
    ///
    /// # Errors
    /// That a toxic wants the connection reset.
    pub fn advance(&mut self, moment: &mut Moment<'_>) -> Result<(), ResetNow> {
        loop {
            self.due_ns = None;
            let mut moved = false;
            // From the last to the first, so that room is made before it is asked for.
            for i in (0..self.slots.len()).rev() {
                moved |= self.cut(i, moment)?;
                moved |= self.drain(i, moment);
            }
            if !moved {
                return Ok(());
            }
        }
    }

    fn cut(&mut self, i: usize, moment: &mut Moment<'_>) -> Result<bool, ResetNow> {
        let identity = &self.identity;
        let cut = self.slots[i].with(identity, moment, |stage, context| stage.cut(context));
        match cut {
            None | Some(Cut::None) => Ok(false),
            Some(Cut::At(due_ns)) => {
                self.wait_until(due_ns);
                Ok(false)
            }
            Some(Cut::Close) => {
                self.feed_from(i + 1, Item::Close, moment);
                Ok(true)
            }
            Some(Cut::Reset) => Err(ResetNow),
        }
    }

    fn drain(&mut self, i: usize, moment: &mut Moment<'_>) -> bool {
        let mut moved = false;
        while self.room_behind(i, moment.is_poor) {
            let identity = &self.identity;
            let step = self.slots[i].with(identity, moment, |stage, context| stage.poll(context));
            match step {
                Some(Step::Item(item)) => {
                    moved = true;
                    self.feed_from(i + 1, item, moment);
                }
                Some(Step::Wait(Some(due_ns))) => {
                    self.wait_until(due_ns);
                    break;
                }
                None | Some(Step::Wait(None)) => break,
            }
        }
        moved
    }

    fn wait_until(&mut self, due_ns: u64) {
        self.due_ns = Some(self.due_ns.map_or(due_ns, |due| due.min(due_ns)));
    }

    /// Takes the toxics of now: those that stay keep what they hold, of those that go it
    /// moves on to the next, new ones come behind.
    pub fn set_chain(&mut self, chain: &Chain, moment: &mut Moment<'_>) {
        let mine = |active: &&Arc<ActiveToxic>| {
            active.toxic.stream == self.identity.direction
                && matches!(active.toxic.kind.acts, Acts::OnTraffic(_))
        };
        let wanted: Vec<&Arc<ActiveToxic>> = chain.iter().filter(mine).collect();
        // From the last to the first: what is nearest to the receiver moves on first.
        for i in (0..self.slots.len()).rev() {
            let id = self.slots[i].toxic.id;
            match wanted.iter().find(|active| active.id == id) {
                Some(active) => self.renew(i, active, moment),
                None => {
                    self.release(i, moment);
                    self.slots.remove(i);
                }
            }
        }
        for active in wanted {
            if self.slots.iter().all(|slot| slot.toxic.id != active.id) {
                self.slots
                    .push(Slot::new(active, &self.identity, moment.now_ns));
            }
        }
        // Whoever holds nothing and will never act need not be asked.
        self.due_ns = Some(moment.now_ns);
    }

    fn renew(&mut self, i: usize, active: &Arc<ActiveToxic>, moment: &mut Moment<'_>) {
        if self.slots[i].toxic.version == active.version {
            return;
        }
        self.slots[i].toxic = Arc::clone(active);
        if !self.slots[i].is_affected() {
            self.release(i, moment);
        } else if let Some(stage) = &mut self.slots[i].stage {
            stage.update(&active.toxic.attributes, moment.now_ns);
        } else {
            self.slots[i].make_stage(moment.now_ns);
        }
    }

    /// Ends a stage; what it holds moves on.
    fn release(&mut self, i: usize, moment: &mut Moment<'_>) {
        if let Some(mut stage) = self.slots[i].stage.take() {
            for item in stage.release() {
                self.feed_from(i + 1, item, moment);
            }
        }
    }
}
