//! Sending a session to a fresh target, once, and saying whether the same came of it. That
//! something leaks takes many times: `leak`.

mod leak;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bundle::{
    Asked, Bundle, Death, Finding, Oracle, Process, Session, Transport, What, Who, stack,
};
use fuzzclient::generate::{Ending, Protocol};
use fuzzclient::probe::{Outcome, Probe};
use fuzzclient::watch::{Found, Watch};

use super::asked::{self, ask};
use super::judge::{self, Judged};
use super::life::{Life, Note, SharedGuard};
use super::send;
use super::watchers::Watchers;
use crate::supervisor::{tree, udp};

/// Longest that one try may take.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a process may take to end after it has stopped answering.
const DEATH_PATIENCE: Duration = Duration::from_secs(1);

/// How long a process may take to end after the last byte, where nothing tells that it has
/// read that far.
const GRACE: Duration = Duration::from_millis(30);

/// The same after the last datagram, to which nobody answers whether it lived through it.
const UDP_GRACE: Duration = Duration::from_millis(100);

/// How long datagrams may wait to be read.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// Between two probes where it is waited for something to happen.
const PAUSE: Duration = Duration::from_millis(20);

/// Between two looks at what the processes have.
const LOOK: Duration = Duration::from_millis(50);

/// Probes after a session that must all be answered rightly.
const ANSWERS: usize = 200;

/// Between two looks whether a process is at work.
const BUSY_LOOK: Duration = Duration::from_millis(200);

/// Of that time it must have used so much of a processor, which may be another's most of it.
const LEAST_BUSY_NS: u64 = 10_000_000;

/// Looks in a row that find it idle: it may wait for a disk in between.
const IDLE_LOOKS: u32 = 2;

/// Longest that it is waited for.
const MOST_BUSY: Duration = Duration::from_secs(5);

/// What is to be seen again, and how.
#[derive(Clone, Debug)]
pub struct Trial {
    processes: Vec<Process>,
    protocol: Protocol,
    asked: Asked,
    expected: Expected,
    guard: SharedGuard,
}

/// What came of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    who: Who,
    what: What,
    stack_top: Option<String>,
    after: Duration,
}

impl Trial {
    /// Tries of what a bundle holds.
    ///
    /// # Errors
    /// That its target cannot be started.
    pub fn of(bundle: &Bundle, guard: &SharedGuard) -> Result<Self, String> {
        if bundle.origin.processes.is_empty() {
            return Err(
                "it was found in something that ran already: it holds no command \
                that would start it, and replay --command takes one"
                    .to_owned(),
            );
        }
        Ok(Self {
            processes: bundle.origin.processes.clone(),
            protocol: bundle.origin.protocol,
            asked: asked::of(&bundle.origin),
            expected: Expected::of(&bundle.verdict.finding),
            guard: Arc::clone(guard),
        })
    }

    /// Sends it once. Blocks; starts a runtime of its own.
    ///
    /// # Errors
    /// That the target did not start, or gave no valid answer before anything was sent.
    pub fn once(&self, session: &Session) -> Result<bool, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let outcome = runtime.block_on(async {
            let mut life = Life::start(&self.processes, session.transport, &self.guard).await?;
            let seen = tokio::time::timeout(LONGEST, self.see(&mut life, session)).await;
            let stack_top = match &seen {
                Ok(Ok(Some(judged))) => stack::top(&life.parts[judged.place].last_words()),
                _ => None,
            };
            life.end().await;
            let seen = seen.map_err(|_| format!("it took longer than {LONGEST:?}"))??;
            Ok(seen.is_some_and(|seen| self.expected.is_met(&seen, stack_top.as_deref())))
        });
        // A probe may still wait for its answer, and nobody needs it.
        runtime.shutdown_background();
        outcome
    }

    async fn see(&self, life: &mut Life, session: &Session) -> Result<Option<Judged>, String> {
        let mut probes: Vec<Probe> = life
            .parts
            .iter()
            .map(|part| asked::probe(&self.asked, self.protocol, part))
            .collect();
        if matches!(self.expected.what, What::Died(_)) {
            return self.see_death(life, session, &probes).await;
        }
        for (place, probe) in probes.iter_mut().enumerate() {
            let part = &life.parts[place];
            asked::learn(probe, part.at).await.map_err(|how| {
                let who = part.who.word();
                format!("the {who} gives no valid answer before anything is sent: {how}")
            })?;
        }
        if let What::Leaked(_) = self.expected.what {
            return leak::see(life, session).await;
        }
        if session.transport == Transport::Tcp && !self.asked.serial {
            life.hold();
        }
        let mut watchers = Watchers::default();
        for (place, probe) in probes.iter().enumerate().filter(|_| !self.asked.serial) {
            watchers.watch(
                place,
                probe.clone(),
                life.parts[place].at,
                life.sink.clone(),
            );
        }
        let found = match send_all(life, session).await?.0 {
            None => self.linger(life, &probes).await,
            found => found,
        };
        drop(watchers);
        if found.is_none() && life.ended.is_empty() {
            return Ok(None);
        }
        Ok(judge::judge(life, found, &probes).await)
    }

    /// Sends, and looks whether somebody dies of it.
    async fn see_death(
        &self,
        life: &mut Life,
        session: &Session,
        probes: &[Probe],
    ) -> Result<Option<Judged>, String> {
        let (_, is_left_open) = send_all(life, session).await?;
        if is_left_open {
            wait_while_busy(life).await;
        }
        let last = session.connections.last();
        match (session.transport, last.map(|last| last.ending)) {
            (_, None) | (Transport::Tcp, Some(Ending::HalfClose)) => {}
            (Transport::Tcp, Some(_)) => wait_for_death(life, GRACE).await,
            (Transport::Udp, Some(_)) => {
                wait_until_read(life).await;
                wait_for_death(life, UDP_GRACE).await;
            }
        }
        for (place, probe) in probes.iter().enumerate() {
            if !life.ended.is_empty() {
                break;
            }
            match ask(probe, life.parts[place].at).await {
                Outcome::Answered(..) => {}
                _ => wait_for_death(life, DEATH_PATIENCE).await,
            }
        }
        wait_for_death(life, Duration::ZERO).await;
        if life.ended.is_empty() {
            return Ok(None);
        }
        Ok(judge::judge(life, None, probes).await)
    }

    /// Probes the target for as long as it may take until it shows.
    async fn linger(&self, life: &mut Life, probes: &[Probe]) -> Option<(usize, Found)> {
        let target = life.target();
        let probe = probes.get(target)?;
        let mut watch = Watch::new(probe.slow_after);
        let answers = match self.expected.what {
            What::Wrong => ANSWERS,
            What::Slow => 4,
            _ => 1,
        };
        let until = match self.expected.what {
            What::Froze => life.since + self.expected.after * 2 + probe.patience * 2,
            _ => Instant::now(),
        };
        let mut asked = 0;
        while asked < answers || Instant::now() < until || watch.is_suspicious() {
            let outcome = ask(probe, life.parts[target].at).await;
            asked += 1;
            if let Some(found) = watch.see(&outcome) {
                return Some((target, found));
            }
            let pause = if matches!(self.expected.what, What::Froze) {
                PAUSE
            } else {
                Duration::ZERO
            };
            while let Some(note) = life.next_within(pause).await {
                match note {
                    Note::Found(place, found) => return Some((place, found)),
                    Note::Exited(..) => return None,
                    Note::Sent => {}
                }
            }
        }
        None
    }
}

impl Oracle for Trial {
    fn fails(&self, session: &Session) -> Result<bool, String> {
        self.once(session)
    }
}

impl Expected {
    fn of(finding: &Finding) -> Self {
        Self {
            who: finding.who,
            what: finding.what.clone(),
            stack_top: finding.stack_top.clone(),
            after: Duration::from_millis(finding.after_ms),
        }
    }

    fn is_met(&self, seen: &Judged, stack_top: Option<&str>) -> bool {
        if self.what == What::Died(Death::Unknown) {
            return self.who == seen.who && matches!(seen.what, What::Died(_));
        }
        let same_place = self.stack_top.is_none() || self.stack_top.as_deref() == stack_top;
        // The same cause that hangs one time freezes another.
        let alike = |what: &What| match what {
            What::Froze | What::Hung => What::Hung,
            what => what.clone(),
        };
        self.who == seen.who && alike(&self.what) == alike(&seen.what) && same_place
    }
}

/// Sends a session, until it is sent or something is found; also whether the target has left
/// a connection open that we had ended.
async fn send_all(
    life: &mut Life,
    session: &Session,
) -> Result<(Option<(usize, Found)>, bool), String> {
    send_until(life, session, &|_| false).await
}

/// The same, until this says that it is enough.
async fn send_until(
    life: &mut Life,
    session: &Session,
    is_enough: &dyn Fn(&Life) -> bool,
) -> Result<(Option<(usize, Found)>, bool), String> {
    let at = life.parts[life.target()].at;
    let wrong = |error: std::io::Error| format!("it cannot be sent: {error}");
    let sending = send::replay(session, at, life.sink.clone()).map_err(wrong)?;
    let found = loop {
        match life.next_within(LOOK).await {
            Some(Note::Sent | Note::Exited(..)) => break None,
            Some(Note::Found(place, found)) => break Some((place, found)),
            None if is_enough(life) => break None,
            None => {}
        }
    };
    let (_, record) = sending.end().map_err(wrong)?;
    let is_left_open = record.sessions.iter().any(|one| one.end == "hung");
    Ok((found, is_left_open))
}

async fn wait_for_death(life: &mut Life, patience: Duration) {
    let deadline = Instant::now() + patience;
    while life.ended.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if life.next_within(left).await.is_none() {
            return;
        }
    }
}

/// Waits until the target has read all datagrams, as far as the kernel tells.
async fn wait_until_read(life: &mut Life) {
    let at = life.parts[life.target()].at;
    let deadline = Instant::now() + READ_PATIENCE;
    while udp::look(at).is_some_and(|seen| seen.waiting_bytes > 0)
        && life.ended.is_empty()
        && Instant::now() < deadline
    {
        wait_for_death(life, PAUSE).await;
    }
}

/// Waits as long as a process is at work: one that dies may first write down its stack, which
/// takes seconds, and serve others meanwhile.
async fn wait_while_busy(life: &mut Life) {
    let cpu = |life: &Life| -> u64 {
        let pids: Vec<u32> = life.parts.iter().filter_map(|part| part.pid).collect();
        tree::cpu_ns(&pids)
    };
    let deadline = Instant::now() + MOST_BUSY;
    let (mut before, mut idle) = (cpu(life), 0);
    while idle < IDLE_LOOKS && life.ended.is_empty() && Instant::now() < deadline {
        wait_for_death(life, BUSY_LOOK).await;
        let now = cpu(life);
        let is_idle = now.saturating_sub(before) < LEAST_BUSY_NS;
        idle = if is_idle { idle + 1 } else { 0 };
        before = now;
    }
}
