//! Looking at the invariants of a block while it goes on.

use report::event::Event;
use service::clock::mono_ns;

use super::Block;
use super::invariants::Invariants;

/// A block that is watched.
#[derive(Debug)]
pub(super) struct Watching {
    invariants: Invariants,
    /// Events of the run that have been looked at.
    seen: usize,
    /// Whether one was broken.
    pub(super) is_broken: bool,
}

impl Block<'_> {
    /// Clients begin: from now on it counts, if the scenario is watched at all.
    pub(super) fn begin_watching(&mut self) {
        let scenario = &self.planned.scenario;
        let Some(watch) = scenario.watch.clone() else {
            return;
        };
        let mut invariants = Invariants::new(watch, scenario.has_datagrams());
        invariants.begin(mono_ns());
        let seen = self.shared.recorder.borrow().events().len();
        self.watching = Some(Watching {
            invariants,
            seen,
            is_broken: false,
        });
    }

    /// Clients have ended; what happens to those who are left is for the verdict.
    pub(super) fn end_watching(&mut self) {
        self.look_at_events();
        if let Some(watching) = &mut self.watching {
            watching.invariants.end();
        }
    }

    /// Looks at what has happened since the last time.
    pub(super) fn look_at_events(&mut self) {
        let Some(watching) = &mut self.watching else {
            return;
        };
        let broken = {
            let recorder = self.shared.recorder.borrow();
            let new = recorder.events()[watching.seen..].iter();
            watching.seen = recorder.events().len();
            let mut found =
                new.map(|stamped| watching.invariants.take(stamped.mono_ns, &stamped.event));
            found.find_map(|broken| broken)
        };
        if let Some(mut broken) = broken.filter(|_| !watching.is_broken) {
            watching.is_broken = true;
            broken.again.clone_from(&self.planned.again);
            self.emit(Event::InvariantBroken(broken));
        }
    }

    /// Whether something has happened that must not: the block ends.
    pub(super) fn is_broken(&self) -> bool {
        self.watching
            .as_ref()
            .is_some_and(|watching| watching.is_broken)
    }
}
