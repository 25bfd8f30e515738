//! Starting one child, and saying why it did not become ready.

use std::time::{Duration, Instant};

use report::event::{Event, Role, Target};

use super::{Block, Cut, START_PATIENCE};
use crate::supervisor::child::Child;
use crate::supervisor::drain::{Drain, RECORD_BYTES, TAIL_BYTES};
use crate::supervisor::notes;
use crate::supervisor::spawn::{Spec, spawn};

impl Block<'_> {
    /// Starts a child, and has it listened to.
    pub(super) fn start(
        &mut self,
        role: Role,
        name: &str,
        target: Target,
        spec: &Spec,
    ) -> Result<usize, Cut> {
        let spawned = spawn(spec).map_err(|error| {
            Cut::Problem(format!(
                "the {} cannot be started: {}: {error}",
                role.word(),
                spec.program.display()
            ))
        })?;
        let (at, pid) = (self.children.len(), spawned.pid);
        self.shared.guard.borrow_mut().watch(pid);
        self.emit(Event::ChildStarted {
            role,
            name: name.to_owned(),
            pid,
            command: spec.words(),
        });
        for (flag, pipe) in spec.write_fds.iter().zip(spawned.write_fds) {
            match *flag {
                "--events-fd" => notes::on_load_events(pipe, at, self.sink.clone()),
                _ => notes::on_ready(pipe, at, self.sink.clone()),
            }
        }
        let kept = if role == Role::Upstream {
            RECORD_BYTES
        } else {
            TAIL_BYTES
        };
        self.children.push(Child {
            role,
            name: name.to_owned(),
            pid,
            group: pid,
            spec: None,
            target,
            record: None,
            stdout: Drain::start(spawned.stdout, kept),
            stderr: Drain::start(spawned.stderr, TAIL_BYTES),
            sockets: None,
            is_mute: false,
            is_talking: spec.write_fds.contains(&"--events-fd"),
            pending: None,
            asked: false,
            may_be_killed: false,
            status: None,
            is_replaced: false,
            cpu_ns: 0,
        });
        notes::on_exit(spawned.child, at, self.sink.clone());
        Ok(at)
    }

    /// Why a child did not become ready, in one line.
    pub(super) async fn start_failure(&mut self, at: usize) -> Cut {
        // A child that closed its descriptor is about to exit: its cause is wanted.
        let soon = Instant::now() + Duration::from_secs(1);
        if let Err(stop) = self
            .listen_until(soon, |block| !block.children[at].is_running())
            .await
        {
            return Cut::Stopped(stop);
        }
        let child = &self.children[at];
        let how = if child.is_running() {
            format!("was not ready after {} s", START_PATIENCE.as_secs())
        } else {
            format!("died at its start ({})", child.exit().cause())
        };
        let is_named = child.name == child.role.word();
        let name = if is_named {
            String::new()
        } else {
            format!(" {}", child.name)
        };
        Cut::Problem(format!(
            "the {}{name} {how}; {}",
            child.role.word(),
            child.last_words()
        ))
    }
}
