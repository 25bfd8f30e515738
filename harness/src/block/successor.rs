//! A proxy that starts its own successor: the new process is found, watched like the old
//! one, and ended like it. The old one may end in good order.

use std::time::{Duration, Instant};

use report::event::{Event, Role};
use rustix::process::Signal;

use super::faults::Undone;
use super::{Block, START_PATIENCE};
use crate::supervisor::child::Child;
use crate::supervisor::notes;
use crate::supervisor::spawn::signal_process;
use crate::supervisor::tree;

/// Between two looks for the successor.
const PAUSE: Duration = Duration::from_millis(5);

/// How long the successor may take until it answers for the old process: until that has
/// ended, or the admin endpoint is the successor's. Connections that stay open may keep the
/// old one for much longer.
const HANDOVER_PATIENCE: Duration = Duration::from_secs(10);

impl Block<'_> {
    /// Has the proxy start its successor, and waits until that has taken over.
    pub(super) async fn upgrade(&mut self) -> Result<(), Undone> {
        let old = self.running("proxy")?;
        let pid = self.children[old].pid;
        self.take_waiting_notes().await;
        self.look(Role::Proxy);
        let before = tree::children(pid);
        signal_process(pid, Signal::USR2);
        let Some(successor) = self.find_successor(old, &before).await? else {
            let child = &self.children[old];
            let how = if child.is_running() {
                "started none"
            } else {
                "ended"
            };
            let said = child.last_words();
            let reason = format!("the proxy was to start its successor and {how}; {said}");
            return Err(Undone::Reason(reason));
        };
        // From now on nobody is surprised that it ends.
        self.children[old].asked = true;
        self.children[old].is_replaced = true;
        let new = self.adopt(old, successor);
        self.said_by = None;
        let over = |block: &Self| {
            !block.children[old].is_running()
                || !block.children[new].is_running()
                || block.said_by == Some(successor.into())
        };
        let in_time = self
            .listen_until(Instant::now() + HANDOVER_PATIENCE, over)
            .await?;
        if !self.children[new].is_running() {
            let reason = format!("the successor ended: {}", self.children[new].exit().cause());
            return Err(Undone::Reason(reason));
        }
        if !in_time {
            let seconds = HANDOVER_PATIENCE.as_secs();
            let reason = format!("the successor had not taken over after {seconds} s");
            return Err(Undone::Reason(reason));
        }
        Ok(())
    }

    /// The new child of the old process, once there is one.
    async fn find_successor(&mut self, old: usize, before: &[u32]) -> Result<Option<u32>, Undone> {
        let pid = self.children[old].pid;
        let deadline = Instant::now() + START_PATIENCE;
        while Instant::now() < deadline {
            let new = tree::children(pid);
            if let Some(found) = new.iter().find(|child| !before.contains(child)) {
                return Ok(Some(*found));
            }
            let pause = Instant::now() + PAUSE;
            let ended = |block: &Self| !block.children[old].is_running();
            if self.listen_until(pause, ended).await? {
                break;
            }
        }
        Ok(None)
    }

    /// Takes a process in as a child of its own. It has the old one's group and pipes.
    fn adopt(&mut self, old: usize, pid: u32) -> usize {
        let at = self.children.len();
        let parent = &mut self.children[old];
        let child = Child {
            role: parent.role,
            name: parent.name.clone(),
            pid,
            group: parent.group,
            spec: parent.spec.clone(),
            target: parent.target,
            record: None,
            stdout: parent.stdout.hand_on(),
            stderr: parent.stderr.hand_on(),
            sockets: parent.sockets.clone(),
            is_mute: parent.is_mute,
            is_talking: false,
            pending: None,
            asked: false,
            may_be_killed: false,
            status: None,
            is_replaced: false,
            cpu_ns: 0,
        };
        let (role, name) = (child.role, child.name.clone());
        self.children.push(child);
        notes::on_exit_of_orphan(pid, at, self.sink.clone());
        self.emit(Event::ChildStarted {
            role,
            name,
            pid,
            command: Vec::new(),
        });
        at
    }
}
