//! The end of a block: nobody is left.

use std::time::{Duration, Instant};

use report::event::{ProbeOutcome, Role};
use rustix::process::Signal;

use super::{Block, GRACE, Probed};
use crate::supervisor::orphan;
use crate::supervisor::spawn::signal_group;

/// How long a process may take to end when it is killed: the kernel has to tear it down.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

impl Block<'_> {
    /// Ends all children, clients first, and the upstream last so that nobody suffers
    /// from its end.
    pub(super) async fn end_everything(&mut self) {
        for role in [
            Role::Fuzz,
            Role::Load,
            // A proxy that drains is not to wait for what a fault holds back.
            Role::Link,
            Role::Proxy,
            Role::Upstream,
        ] {
            self.look(role);
            self.end(role).await;
        }
        // Workers that their parent left behind are in its process group still.
        for child in &self.children {
            signal_group(child.group, Signal::KILL);
            self.shared.guard.borrow_mut().forget(child.group);
            orphan::reap(child.group);
        }
    }

    async fn end(&mut self, role: Role) {
        self.signal(role, Signal::TERM).await;
        let in_a_hurry = self.ends_too_slowly(role, GRACE).await;
        if self.is_gone(role) {
            return;
        }
        let is_hung = |probed: &Probed| {
            probed.whom.role == role && matches!(probed.last, Some(ProbeOutcome::Silent))
        };
        let may_be_killed = in_a_hurry || self.probed.iter().any(is_hung);
        for child in self.children.iter_mut().filter(|child| child.role == role) {
            child.may_be_killed = may_be_killed;
        }
        self.signal(role, Signal::KILL).await;
        self.ends_too_slowly(role, KILL_PATIENCE).await;
    }

    async fn signal(&mut self, role: Role, signal: Signal) {
        // What has died by itself is not to look as if it had been asked to.
        self.take_waiting_notes().await;
        for child in self.children.iter_mut().filter(|child| child.role == role) {
            child.signal(signal);
        }
    }

    /// Waits until all in this role have ended. `true` if somebody is in a hurry: the
    /// first Ctrl-C is remembered, a second means now.
    async fn ends_too_slowly(&mut self, role: Role, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let waited = self.listen_until(deadline, |block| block.is_gone(role));
            match waited.await {
                Ok(_) => return false,
                Err(stop) if self.stopped.is_none() => self.stopped = Some(stop),
                Err(_) => return true,
            }
        }
    }

    fn is_gone(&self, role: Role) -> bool {
        let mut children = self.children.iter();
        children.all(|child| child.role != role || !child.is_running())
    }
}
