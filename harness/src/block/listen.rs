//! The one loop through which all waiting goes: notes, the clock, and Ctrl-C.

use std::fs::File;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use fuzzclient::record::FuzzRecord;
use loadgen::record::{LoadEvent, LoadRecord};
use report::event::{Event, Mark, Role};
use report::reconcile::INTEGRITY;
use serde::de::DeserializeOwned;
use service::signals::Stop;

use super::{Block, Probed};
use crate::supervisor::child::Child;
use crate::supervisor::drain::Output;
use crate::supervisor::notes::Note;
use crate::supervisor::tree;

/// Between two looks at what processes use: a few each second, so that looking costs
/// next to nothing.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

impl Block<'_> {
    /// Listens until `done` holds, which is told, or until `deadline`.
    pub(super) async fn listen_until(
        &mut self,
        deadline: Instant,
        done: impl Fn(&Self) -> bool,
    ) -> Result<bool, Stop> {
        loop {
            self.look_at_events();
            if done(self) {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(false);
            }
            if now >= self.next_look {
                self.look(Role::Upstream);
                self.look(Role::Proxy);
                self.look(Role::Link);
                self.next_look = now + LOOK_PAUSE.max(self.pause);
            }
            let wake = deadline.min(self.next_look);
            tokio::select! {
                Some(note) = self.notes.recv() => self.take(note).await,
                stop = self.stop.next() => return Err(stop),
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    /// Takes what has been said already.
    pub(super) async fn take_waiting_notes(&mut self) {
        // Give tasks that have something to say the chance to say it.
        tokio::task::yield_now().await;
        while let Ok(note) = self.notes.try_recv() {
            self.take(note).await;
        }
    }

    async fn take(&mut self, note: Note) {
        match note {
            Note::Ready(at, Some(ready)) => {
                let child = &mut self.children[at];
                child.sockets = Some(ready.sockets.clone());
                let (role, name) = (child.role, child.name.clone());
                self.emit(Event::ChildReady {
                    role,
                    name,
                    sockets: ready.sockets,
                });
            }
            Note::Ready(at, None) => self.children[at].is_mute = true,
            Note::Load(at, event) => self.take_load_event(at, *event),
            Note::Probe(mono_ns, probe) => {
                self.note_outcome(probe.role, probe.name.as_deref(), probe.outcome);
                self.shared
                    .recorder
                    .borrow_mut()
                    .take_at(mono_ns, Event::Probe(probe));
            }
            Note::ProberDone(role, name) => {
                let mut probed = self.probed.iter_mut();
                let is_meant = |one: &&mut Probed| one.whom.role == role && one.whom.name == name;
                if let Some(probed) = probed.find(is_meant) {
                    probed.is_done = true;
                }
            }
            Note::State(state) => self.take_state(&state),
            Note::Audit(audit) => {
                self.audits += 1;
                self.emit(Event::Audit(audit));
            }
            Note::LoadSilent(at) => {
                self.children[at].is_talking = false;
                if let Some(status) = self.children[at].pending.take() {
                    self.take_exit(at, status).await;
                }
            }
            // What a load client said before its end is heard before it.
            Note::Exited(at, status) if self.children[at].is_talking => {
                self.children[at].pending = Some(status);
            }
            Note::Exited(at, status) => self.take_exit(at, status).await,
        }
    }

    fn take_load_event(&self, at: usize, event: LoadEvent) {
        let name = self.children[at].name.clone();
        match event {
            LoadEvent::Measuring { .. } => {
                self.mark_cpu(&name, Mark::Begin);
                self.emit(Event::LoadMeasuring { name });
            }
            LoadEvent::Interval(interval) => self.emit(Event::LoadInterval { name, interval }),
            LoadEvent::Done { .. } => self.mark_cpu(&name, Mark::End),
        }
    }

    /// What has the proxy used so far?
    fn mark_cpu(&self, load: &str, at: Mark) {
        let pids = self.pids(Role::Proxy);
        if pids.is_empty() {
            return;
        }
        // Those that have handed over and ended cost what they had cost when they were last
        // looked at.
        let ended = self.children.iter().filter(|child| !child.is_running());
        let ended = ended.filter(|child| child.role == Role::Proxy);
        let before: u64 = ended.map(|child| child.cpu_ns).sum();
        self.emit(Event::CpuMark {
            role: Role::Proxy,
            name: load.to_owned(),
            at,
            cpu_ns: before + tree::cpu_ns(&pids),
        });
    }

    async fn take_exit(&mut self, at: usize, status: ExitStatus) {
        let child = &mut self.children[at];
        child.stdout.end().await;
        child.stderr.end().await;
        child.status = Some(status);
        let child = &self.children[at];
        let (role, name, exit) = (child.role, child.name.clone(), child.exit());
        match role {
            Role::Load => self.take_load_record(at),
            Role::Fuzz => self.take_fuzz_record(at),
            // It is asked while it runs.
            Role::Link => {}
            Role::Upstream | Role::Proxy => {
                if let Some(counts) = child.stdout.output(Output::last_object) {
                    let name = self.name_in_events(role, &name);
                    self.emit(Event::Counted { role, name, counts });
                }
            }
        }
        self.emit(Event::Exited { role, name, exit });
    }

    fn take_load_record(&mut self, at: usize) {
        let child = &self.children[at];
        let (name, target) = (child.name.clone(), child.target);
        let (record, problem) = split(record::<LoadRecord>(child));
        if let Some(record) = &record {
            let counts = &record.counts;
            let mut kinds = counts.failed.keys().chain(counts.extra_answers.keys());
            self.is_suspicious |= kinds.any(|kind| INTEGRITY.contains(&kind.as_str()));
        }
        self.emit(Event::LoadEnded {
            name,
            target,
            record,
            problem,
        });
    }

    fn take_fuzz_record(&mut self, at: usize) {
        let child = &self.children[at];
        let name = child.name.clone();
        let (record, problem) = split(record::<FuzzRecord>(child));
        self.emit(Event::FuzzEnded {
            name,
            record,
            problem,
        });
    }

    /// Looks at what the processes in `role` use.
    pub(super) fn look(&mut self, role: Role) {
        for child in &mut self.children {
            if child.role == role && child.is_running() {
                child.cpu_ns = child.cpu_ns.max(tree::cpu_ns_of(child.pid));
            }
        }
        if role == Role::Proxy {
            if let Some(sample) = tree::sample(&self.pids(role)) {
                let name = None;
                self.emit(Event::Sample { role, name, sample });
            }
            return;
        }
        let running = self.children.iter().filter(|child| child.is_running());
        let running: Vec<_> = running
            .filter(|child| child.role == role)
            .map(|child| (child.pid, child.name.clone()))
            .collect();
        for (pid, name) in running {
            if let Some(sample) = tree::sample(&[pid]) {
                let name = self.name_in_events(role, &name);
                self.emit(Event::Sample { role, name, sample });
            }
        }
    }

    /// The name of somebody in events that need it only if there are several.
    fn name_in_events(&self, role: Role, name: &str) -> Option<String> {
        (role == Role::Upstream && self.backends.len() > 1).then(|| name.to_owned())
    }

    /// The processes in `role` that run: a proxy and its successor may be two.
    pub(super) fn pids(&self, role: Role) -> Vec<u32> {
        let running = self.children.iter().filter(|child| child.is_running());
        let mut pids: Vec<u32> = running
            .filter(|child| child.role == role)
            .map(|child| child.pid)
            .collect();
        if pids.is_empty()
            && role == Role::Proxy
            && matches!(self.plan.subject, crate::descriptor::Descriptor::Running(_))
        {
            pids.extend(self.shared.plan.pid);
        }
        pids
    }
}

fn split<T>(result: Result<T, String>) -> (Option<Box<T>>, Option<String>) {
    match result {
        Ok(record) => (Some(Box::new(record)), None),
        Err(problem) => (None, Some(problem)),
    }
}

/// The record that a client has left.
fn record<T: DeserializeOwned>(child: &Child) -> Result<T, String> {
    let problem = |reason: String| {
        let exit = child.exit().cause();
        format!(
            "{} {} left no record ({exit}): {reason}; {}",
            child.role.word(),
            child.name,
            child.last_words()
        )
    };
    let path = child
        .record
        .as_ref()
        .ok_or_else(|| problem("none was asked for".to_owned()))?;
    let file = File::open(path).map_err(|error| problem(error.to_string()))?;
    serde_json::from_reader(std::io::BufReader::new(file))
        .map_err(|error| problem(error.to_string()))
}
