//! Connections that are open during a run and send nothing: what they cost the target,
//! and whether they are still good when it is over.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use eventloop::{Events, Fill, Interest, Poller};
use service::clock::mono_ns;

use crate::dialect::Dialect as _;
use crate::dialer::{Dialer, failure_of, first_bytes};
use crate::echoes::{Echoes, Integrity};
use crate::link::Link;
use crate::plan::{Plan, nanos};
use crate::record::Idle;
use crate::stop::StopFlag;
use crate::stride::Stride;
use crate::tracker::Reply;

/// Connections that are opened or checked at the same time: below any listener's backlog.
const AT_ONCE: usize = 64;

/// Connections from one source address: each has some 28,000 ports.
const MOST_FROM_ONE: usize = 20_000;

/// Longest wait: a request to stop is seen within this time.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// The number of the first of them, above those of connections that work.
const FIRST_ID: u32 = 1 << 19;

/// Connections that say nothing.
#[derive(Clone, Copy, Debug)]
pub struct IdlePlan {
    /// How many, in this process.
    pub connections: usize,
    /// Whether each must still echo a message when the run is over.
    pub check: bool,
}

/// The connections, open for as long as this lives.
pub(crate) struct Crowd {
    members: Vec<Member>,
    poller: Poller,
    echoes: Echoes,
    /// Which of all idle connections these are.
    part: Stride,
    check: bool,
    /// For opening one of them, and for an answer of one.
    patience: (u64, u64),
    counted: Idle,
}

struct Member {
    link: Option<Link>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    ShakingHands,
    Open,
    /// A message is on its way.
    Asked,
    Gone,
}

/// What a step came to.
enum Step {
    /// More must come first.
    Ongoing,
    /// It is done.
    Done,
    /// It failed, in this way.
    Failed(&'static str),
}

impl Crowd {
    /// Opens the connections, a few at a time. Those that cannot be opened are counted.
    pub(crate) fn gather(plan: &Plan, idle: &IdlePlan, stop: &StopFlag) -> io::Result<Self> {
        let spread = idle.connections > MOST_FROM_ONE;
        let mut dialer = Dialer::new(plan.targets.clone(), &plan.transport, spread, 0);
        let mut crowd = Self {
            members: Vec::with_capacity(idle.connections),
            poller: Poller::new()?,
            echoes: Echoes::new(Integrity::Full, plan.seed, plan.payload),
            part: plan.part,
            check: idle.check,
            patience: (nanos(plan.connect_timeout), nanos(plan.drain)),
            counted: Idle {
                asked: idle.connections as u64,
                ..Idle::default()
            },
        };
        let timeout = crowd.patience.0;
        crowd.go_through(stop, idle.connections, timeout, |crowd, at, step| {
            match step {
                // Each attempt begins here.
                None => {
                    crowd.dial(at, &mut dialer, plan);
                    return matches!(crowd.members[at].state, State::Connecting);
                }
                Some(Step::Done) => crowd.counted.opened += 1,
                Some(Step::Failed(why)) => count(&mut crowd.counted.connect_failed, why),
                Some(Step::Ongoing) => return true,
            }
            false
        })?;
        Ok(crowd)
    }

    /// Looks at all connections at the end: whether they are open, and, if wanted,
    /// whether each echoes a message.
    pub(crate) fn check(&mut self, stop: &StopFlag) -> io::Result<Idle> {
        let open = |member: &Member| member.state == State::Open;
        let timeout = self.patience.1;
        let members = self.members.len();
        self.go_through(stop, members, timeout, |crowd, at, step| {
            match step {
                None if open(&crowd.members[at]) => return crowd.ask(at),
                None | Some(Step::Done) => {}
                Some(Step::Failed(why)) => count(&mut crowd.counted.failed, why),
                Some(Step::Ongoing) => return true,
            }
            false
        })?;
        Ok(self.counted.clone())
    }

    /// Works on all members, [`AT_ONCE`] at a time. `tell` is asked to begin with one
    /// (`None`), and told what came of it; it says whether that one is being worked on.
    fn go_through(
        &mut self,
        stop: &StopFlag,
        members: usize,
        timeout: u64,
        mut tell: impl FnMut(&mut Self, usize, Option<Step>) -> bool,
    ) -> io::Result<()> {
        let mut events = Events::new();
        let mut next = 0;
        // Those that are worked on, with the time that is their last.
        let mut active: Vec<(usize, u64)> = Vec::with_capacity(AT_ONCE);
        loop {
            while next < members && active.len() < AT_ONCE && !stop.is_set() {
                if tell(self, next, None) {
                    active.push((next, mono_ns().saturating_add(timeout)));
                }
                next += 1;
            }
            if active.is_empty() && (next == members || stop.is_set()) {
                return Ok(());
            }
            self.poller.wait(&mut events, Some(LONGEST_WAIT))?;
            for (token, readiness) in events.iter() {
                let Some(place) = active.iter().position(|(at, _)| *at == token as usize) else {
                    continue;
                };
                let at = active[place].0;
                let step = self.step(at, readiness.writable());
                if !self.told(at, step, &mut tell) {
                    active.swap_remove(place);
                }
            }
            let now = mono_ns();
            let late = |(_, deadline): &&(usize, u64)| *deadline <= now || stop.is_set();
            let late: Vec<usize> = active.iter().filter(late).map(|(at, _)| *at).collect();
            for at in late {
                active.retain(|(other, _)| *other != at);
                self.told(at, Step::Failed("timeout"), &mut tell);
            }
        }
    }

    fn told(
        &mut self,
        at: usize,
        step: Step,
        tell: &mut impl FnMut(&mut Self, usize, Option<Step>) -> bool,
    ) -> bool {
        if matches!(step, Step::Failed(_)) {
            self.members[at].link = None;
            self.members[at].state = State::Gone;
        }
        tell(self, at, Some(step))
    }

    fn dial(&mut self, at: usize, dialer: &mut Dialer, plan: &Plan) {
        let dialed = dialer.dial().and_then(|fd| {
            self.poller.add(&fd, at as u64, Interest::Edge)?;
            let first = first_bytes(&plan.transport, &fd, dialer.target())?;
            Link::new(fd, &plan.transport, &first)
        });
        let (link, state) = match dialed {
            Ok(link) => (Some(link), State::Connecting),
            Err(error) => {
                count(&mut self.counted.connect_failed, failure_of(&error).name());
                dialer.failed();
                (None, State::Gone)
            }
        };
        self.members.push(Member { link, state });
    }

    fn step(&mut self, at: usize, writable: bool) -> Step {
        let member = &mut self.members[at];
        let Some(link) = &mut member.link else {
            return Step::Ongoing;
        };
        if member.state == State::Connecting && writable {
            if let Err(error) = eventloop::net::connect_result(&*link) {
                return Step::Failed(failure_of(&error).name());
            }
            member.state = State::ShakingHands;
        }
        match member.state {
            State::ShakingHands => match link.shake_hands().and_then(|done| {
                if done {
                    link.flush()?;
                }
                Ok(done)
            }) {
                Ok(true) => {
                    member.state = State::Open;
                    Step::Done
                }
                Ok(false) => Step::Ongoing,
                Err(error) => Step::Failed(failure_of(&error).name()),
            },
            State::Asked => match link.flush() {
                Ok(_) => self.answer(at),
                Err(_) => Step::Failed("reset"),
            },
            State::Connecting | State::Open | State::Gone => Step::Ongoing,
        }
    }

    /// Looks whether a connection is open, and sends a message over it if it is to be
    /// checked. `true` if an answer is to be waited for.
    fn ask(&mut self, at: usize) -> bool {
        let member = &mut self.members[at];
        let Some(link) = &mut member.link else {
            return false;
        };
        let wrong = match link.fill(mono_ns()) {
            Ok(Fill::Blocked) => None,
            Ok(Fill::Data(_)) => Some("unexpected"),
            Ok(Fill::End) => Some("closed"),
            Err(_) => Some("reset"),
        };
        if let Some(wrong) = wrong {
            count(&mut self.counted.failed, wrong);
            return false;
        }
        self.counted.open_at_end += 1;
        if !self.check {
            return false;
        }
        self.echoes.write(id(self.part, at), 1, link.outbound());
        if link.flush().is_err() {
            count(&mut self.counted.failed, "reset");
            return false;
        }
        member.state = State::Asked;
        true
    }

    fn answer(&mut self, at: usize) -> Step {
        let Some(link) = &mut self.members[at].link else {
            return Step::Ongoing;
        };
        loop {
            match link.fill(mono_ns()) {
                Ok(Fill::Data(_)) => {}
                Ok(Fill::Blocked) => return Step::Ongoing,
                Ok(Fill::End) => return Step::Failed("closed"),
                Err(_) => return Step::Failed("reset"),
            }
            self.echoes.turn_to(id(self.part, at), FIRST_ID);
            let cut = self.echoes.next(link.inbound(), 1, &mut Default::default());
            match cut {
                None => {}
                Some((Some(Reply::Answer { .. }), bytes)) if bytes == link.inbound().len() => {
                    self.counted.answered += 1;
                    self.members[at].link = None;
                    self.members[at].state = State::Gone;
                    return Step::Done;
                }
                Some((Some(Reply::Wrong(why)), _)) => return Step::Failed(why.name()),
                Some(_) => return Step::Failed("unexpected"),
            }
        }
    }
}

/// The number of the connection at `at` among those of `part`.
fn id(part: Stride, at: usize) -> u32 {
    FIRST_ID + (part.first + part.step * at as u64) as u32
}

fn count(kinds: &mut BTreeMap<String, u64>, kind: &str) {
    *kinds.entry(kind.to_owned()).or_default() += 1;
}
