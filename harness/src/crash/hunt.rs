//! One life of a target after the other, each attacked until something is wrong.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bundle::origin::SCHEMA_VERSION;
use bundle::{Asked, Bundle, Finding, Key, Origin, Process, Transport, Turn, Verdict, What, stack};
use fuzzclient::generate::{Corpus, Protocol, Strategy};
use fuzzclient::probe::{Outcome as Answer, Probe, Question, USUAL_TIMES};
use fuzzclient::watch::Found;
use service::signals::{Stop, StopSignals};

use super::asked::{self, ask};
use super::evidence::{self, Evidence, Reported};
use super::history::History;
use super::judge::{self, Judged};
use super::leaks::{Leaks, Look, Usage};
use super::life::{Life, Note, SharedGuard};
use super::rounds;
use super::send;
use super::target::{Extras, Named, Target, processes};
use super::watchers::Watchers;
use crate::supervisor::tree;

/// Between two looks at what the processes have.
const LOOK: Duration = Duration::from_millis(50);

/// How long a process may take to give back what it can.
const SETTLE: Duration = Duration::from_secs(5);

/// How long a target that is gone may take to be seen to be.
const DEATH_PATIENCE: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is attacked.
    pub named: Named,
    /// What is added to it.
    pub extras: Extras,
    /// Its process, if it runs already.
    pub pid: Option<u32>,
    /// Whose messages are the model; none: that is found out.
    pub protocol: Option<Protocol>,
    /// How they travel.
    pub transport: Transport,
    /// What is made of them, in turns.
    pub strategies: Vec<Strategy>,
    /// Inputs that come first.
    pub corpus: Option<(PathBuf, Arc<Corpus>)>,
    /// Of this seed.
    pub seed: u64,
    /// Connections at the same time, if that is to be so for all strategies.
    pub connections: Option<u64>,
    /// Bytes or datagrams per second.
    pub rate: Option<f64>,
    /// How long, in all.
    pub duration: Duration,
    /// How many causes are looked for.
    pub findings: usize,
    /// How often each is tried again.
    pub repeats: u32,
    /// What the target is asked, if that is not the usual.
    pub question: Option<Question>,
    /// An answer that takes longer is none.
    pub hang_after: Duration,
    /// An answer that takes longer is slow.
    pub slow_after: Duration,
    /// Where bundles go.
    pub bundles: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The findings.
    pub found: Vec<Reported>,
    /// What was done.
    pub sums: Sums,
    /// Who ended it early.
    pub stopped: Option<Stop>,
    /// Why it ended early, if for a reason of its own.
    pub problem: Option<String>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How long it took.
    pub elapsed: Duration,
    /// Bytes sent.
    pub bytes: u64,
    /// Connections, or sockets of datagrams.
    pub connections: u64,
    /// Starts of the target.
    pub lives: u64,
    /// Probes made.
    pub probes: u64,
    /// The longest that an answer took.
    pub slowest: Duration,
}

/// Something that happens, for whoever shows it.
#[derive(Debug)]
pub enum Progress<'a> {
    /// It was found out how the target is to be talked to.
    Aimed(Protocol, &'a Asked),
    /// A turn begins.
    Turn(Strategy, &'a Sums),
    /// Something is kept; it is waited and loaded again to see whether it is a leak.
    Suspicious,
    /// Something is wrong; new to this run or not.
    Found(&'a Reported, bool),
    /// It was tried again.
    Repeated(&'a Reported),
}

/// Why a life is cut short.
enum Cut {
    Stopped(Stop),
    Problem(String),
}

impl From<String> for Cut {
    fn from(reason: String) -> Self {
        Self::Problem(reason)
    }
}

/// What ends a turn before its time.
#[derive(Debug)]
enum Trouble {
    /// A process has ended.
    Ended,
    /// A probe has found something.
    Found(usize, Found),
    /// Something is kept and kept again.
    Leaked(Judged),
}

struct Hunter<'a> {
    plan: &'a Plan,
    guard: &'a SharedGuard,
    stop: &'a mut StopSignals,
    tell: &'a mut dyn FnMut(&Progress<'_>),
    started: Instant,
    sums: Sums,
    evidence: Evidence,
    next_connection: u64,
    protocol: Option<Protocol>,
    asked: Option<Asked>,
}

/// One life of the target.
struct Attacked {
    life: Life,
    probes: Vec<Probe>,
    watchers: Watchers,
    leaks: Vec<Option<Leaks>>,
    history: History,
    /// Probes that are in it.
    noted_probes: u64,
    turns: Vec<Turn>,
}

/// Attacks until enough is found or time is up.
pub async fn run(
    plan: &Plan,
    guard: &SharedGuard,
    stop: &mut StopSignals,
    tell: &mut dyn FnMut(&Progress<'_>),
) -> Outcome {
    let mut hunter = Hunter {
        plan,
        guard,
        stop,
        tell,
        started: Instant::now(),
        sums: Sums::default(),
        evidence: Evidence::new(&plan.bundles),
        next_connection: 0,
        protocol: plan.protocol,
        asked: None,
    };
    let cut = hunter.lives().await.err();
    hunter.sums.elapsed = hunter.started.elapsed();
    let (stopped, problem) = match cut {
        None => (None, None),
        Some(Cut::Stopped(stop)) => (Some(stop), None),
        Some(Cut::Problem(problem)) => (None, Some(problem)),
    };
    Outcome {
        found: hunter.evidence.into_reported(),
        sums: hunter.sums,
        stopped,
        problem,
    }
}

impl Hunter<'_> {
    async fn lives(&mut self) -> Result<(), Cut> {
        let mut nth = 0;
        while self.is_on() {
            let mut attacked = self.begin().await?;
            let trouble = self.attack(&mut attacked, rounds::of_life(nth)).await;
            let (probes, slowest) = attacked.watchers.counts();
            self.sums.probes += probes;
            self.sums.slowest = self.sums.slowest.max(slowest);
            match trouble {
                Ok(Some(trouble)) => self.conclude(attacked, trouble).await?,
                Ok(None) => attacked.life.end().await,
                Err(cut) => {
                    attacked.life.end().await;
                    return Err(cut);
                }
            }
            nth += 1;
        }
        Ok(())
    }

    fn is_on(&self) -> bool {
        // What we have not started we cannot start again.
        let is_over = matches!(self.plan.named, Named::Running(_)) && !self.evidence.is_empty();
        !is_over
            && self.started.elapsed() < self.plan.duration
            && self.evidence.len() < self.plan.findings
    }

    fn processes(&self, protocol: Protocol) -> Result<Vec<Process>, String> {
        processes(
            &self.plan.named,
            &self.plan.extras,
            protocol,
            self.plan.transport,
        )
    }

    async fn start(&mut self, protocol: Protocol) -> Result<Life, Cut> {
        let transport = self.plan.transport;
        let life = match self.target(protocol)? {
            Target::Running { at, pid } => Life::of_running(at, pid, transport, self.guard)?,
            Target::Started(processes) => {
                tokio::select! {
                    life = Life::start(&processes, transport, self.guard) => life?,
                    stop = self.stop.next() => return Err(Cut::Stopped(stop)),
                }
            }
        };
        Ok(life)
    }

    fn target(&self, protocol: Protocol) -> Result<Target, String> {
        Ok(match &self.plan.named {
            Named::Running(addr) => {
                let candidates = addr
                    .connect_candidates()
                    .map_err(|error| error.to_string())?;
                let at = candidates.into_iter().next();
                let at = at.ok_or_else(|| format!("{addr} has no address"))?;
                Target::Running {
                    at,
                    pid: self.plan.pid,
                }
            }
            _ => Target::Started(self.processes(protocol)?),
        })
    }

    /// Starts the target and makes sure that it answers.
    async fn begin(&mut self) -> Result<Attacked, Cut> {
        let (protocol, asked) = self.aim().await?;
        self.sums.lives += 1;
        let mut life = self.start(protocol).await?;
        let probes = match learn(&life, &asked, protocol).await {
            Ok(probes) => probes,
            Err(problem) => {
                life.end().await;
                return Err(Cut::Problem(problem));
            }
        };
        let mut history = History::new(self.plan.transport);
        if let Some(bytes) = probes.last().and_then(Probe::bytes) {
            let times = if asked.question == Question::Foo {
                USUAL_TIMES
            } else {
                1
            };
            history.add_probes((times * life.parts.len()) as u64, bytes);
        }
        if self.plan.transport == Transport::Tcp && !asked.serial {
            life.hold();
            history.add_probes(life.parts.len() as u64, b"");
        }
        let leaks = (0..life.parts.len()).map(|place| usage(&life, place).map(Leaks::new));
        let leaks = leaks.collect();
        let mut watchers = Watchers::default();
        for (place, probe) in probes.iter().enumerate().filter(|_| !asked.serial) {
            watchers.watch(
                place,
                probe.clone(),
                life.parts[place].at,
                life.sink.clone(),
            );
        }
        Ok(Attacked {
            life,
            probes,
            watchers,
            leaks,
            history,
            noted_probes: 0,
            turns: Vec::new(),
        })
    }

    /// How the target is to be talked to: found out once, in a life of its own, so that nothing
    /// of it is missing in what is kept of the others.
    async fn aim(&mut self) -> Result<(Protocol, Asked), Cut> {
        if let (Some(protocol), Some(asked)) = (self.protocol, &self.asked) {
            return Ok((protocol, asked.clone()));
        }
        let protocol = match self.protocol {
            Some(protocol) => protocol,
            None => self.find_protocol().await?,
        };
        let life = self.start(protocol).await?;
        let mut asked = self.settle_question(protocol, &life).await;
        let learnt = learn(&life, &asked, protocol).await;
        if let (Ok(probes), [part], Transport::Tcp) =
            (&learnt, &life.parts[..], self.plan.transport)
        {
            asked.serial = asked::is_serial(&probes[0], part.at).await;
        }
        life.end().await;
        learnt?;
        (self.tell)(&Progress::Aimed(protocol, &asked));
        self.protocol = Some(protocol);
        self.asked = Some(asked.clone());
        Ok((protocol, asked))
    }

    /// Of a program that nobody has said anything about it is found out whether it speaks Foo.
    async fn find_protocol(&mut self) -> Result<Protocol, Cut> {
        let life = self.start(Protocol::Foo).await?;
        let asked = self.asked_with(Question::Foo);
        let part = &life.parts[life.target()];
        let mut probe = asked::probe(&asked, Protocol::Foo, part);
        let speaks = asked::learn(&mut probe, part.at).await.is_ok();
        let speaks = speaks && matches!(ask(&probe, part.at).await, Answer::Answered(..));
        life.end().await;
        let protocol = if speaks { Protocol::Foo } else { Protocol::Tcp };
        self.protocol = Some(protocol);
        Ok(protocol)
    }

    fn asked_with(&self, question: Question) -> Asked {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Asked {
            question,
            hang_after_ms: ms(self.plan.hang_after),
            slow_after_ms: ms(self.plan.slow_after),
            serial: false,
        }
    }

    async fn settle_question(&self, protocol: Protocol, life: &Life) -> Asked {
        if let Some(question) = &self.plan.question {
            return self.asked_with(question.clone());
        }
        let is_echo = life.parts.len() > 1 || matches!(self.plan.named, Named::Upstream(_));
        let asked = self.asked_with(asked::usual(protocol, self.plan.transport, life, is_echo));
        if asked.question != Question::End {
            return asked;
        }
        // A server that leaves connections open when their other end has gone: that it takes
        // them is all that can be asked of it.
        let part = &life.parts[life.target()];
        match ask(&asked::probe(&asked, protocol, part), part.at).await {
            Answer::Silent => self.asked_with(Question::Connect),
            _ => asked,
        }
    }

    async fn attack(
        &mut self,
        attacked: &mut Attacked,
        rounds: u32,
    ) -> Result<Option<Trouble>, Cut> {
        let mut round = 0;
        while round < rounds && self.is_on() {
            let nth = u32::try_from(self.sums.lives)
                .unwrap_or(u32::MAX)
                .wrapping_add(round);
            let is_serial = self.asked.as_ref().is_some_and(|asked| asked.serial);
            // Of several connections all but one would wait.
            let connections = self.plan.connections.or(is_serial.then_some(1));
            let turns = rounds::turns(&self.plan.strategies, nth.wrapping_sub(1), connections);
            for turn in turns {
                if !self.is_on() {
                    break;
                }
                let (trouble, too_much) = self.turn(attacked, turn).await?;
                if trouble.is_some() {
                    return Ok(trouble);
                }
                if too_much {
                    break;
                }
            }
            round += 1;
            match self.settle(attacked).await? {
                (Some(trouble), _) => return Ok(Some(trouble)),
                // Another load will tell, in this life.
                (None, true) => {
                    (self.tell)(&Progress::Suspicious);
                    round = round.min(rounds - 1);
                }
                (None, false) => {}
            }
        }
        Ok(None)
    }

    /// One strategy's turn; whether something was wrong, and whether so much is kept that the
    /// load has to end.
    async fn turn(
        &mut self,
        attacked: &mut Attacked,
        turn: rounds::Turn,
    ) -> Result<(Option<Trouble>, bool), Cut> {
        (self.tell)(&Progress::Turn(turn.strategy, &self.sums));
        let life = &mut attacked.life;
        let left = self.plan.duration.saturating_sub(self.started.elapsed());
        let to_send = send::Turn {
            protocol: self.protocol.unwrap_or(Protocol::Tcp),
            transport: self.plan.transport,
            strategy: turn.strategy,
            seed: self.plan.seed,
            corpus: self
                .plan
                .corpus
                .as_ref()
                .map(|(_, corpus)| Arc::clone(corpus)),
            first_connection: self.next_connection,
            connections: turn.connections,
            bytes: turn.bytes,
            duration: turn.duration.min(left),
            rate: self.plan.rate,
            hang_after: self.plan.hang_after,
        };
        attacked.turns.push(Turn {
            first_connection: self.next_connection,
            strategy: turn.strategy,
        });
        let at = life.parts[life.target()].at;
        let problem = |error: std::io::Error| Cut::Problem(format!("it cannot be sent: {error}"));
        let sending = to_send.begin(at, life.sink.clone()).map_err(problem)?;
        let (mut trouble, mut too_much) = (None, false);
        loop {
            let note = tokio::select! {
                note = life.next_within(LOOK) => note,
                stop = self.stop.next() => return Err(Cut::Stopped(stop)),
            };
            match note {
                Some(Note::Exited(..)) => trouble = Some(Trouble::Ended),
                Some(Note::Found(place, found)) => trouble = Some(Trouble::Found(place, found)),
                Some(Note::Sent) => break,
                None => {
                    too_much = attacked.leaks.iter().enumerate().any(|(place, leaks)| {
                        let now = usage(life, place);
                        leaks
                            .zip(now)
                            .is_some_and(|(leaks, now)| leaks.is_too_much(now))
                    });
                }
            }
            if trouble.is_some() || too_much {
                break;
            }
        }
        let (recording, record) = sending.end().map_err(problem)?;
        let opened = record
            .observations
            .values()
            .sum::<u64>()
            .max(turn.connections);
        self.next_connection = self.next_connection.saturating_add(opened);
        let made = attacked.watchers.counts().0;
        if let Some(bytes) = attacked.probes.last().and_then(Probe::bytes) {
            attacked
                .history
                .add_probes(made - attacked.noted_probes, bytes);
        }
        attacked.noted_probes = made;
        let before = (
            attacked.history.sent_bytes,
            attacked.history.sent_connections,
        );
        attacked.history.add(&recording);
        self.sums.bytes += attacked.history.sent_bytes - before.0;
        self.sums.connections += attacked.history.sent_connections - before.1;
        let is_serial = self.asked.as_ref().is_some_and(|asked| asked.serial);
        if trouble.is_none()
            && is_serial
            && let Some(probe) = attacked.probes.last()
        {
            let found = asked::look(probe, at).await;
            self.sums.probes += 1;
            attacked
                .history
                .add_probes(1, probe.bytes().unwrap_or_default());
            trouble = found.map(|found| Trouble::Found(life.target(), found));
        } else if trouble.is_none() && record.target_gone {
            // Whoever sends knows it first.
            trouble = match life.next_within(DEATH_PATIENCE).await {
                Some(Note::Exited(..)) => Some(Trouble::Ended),
                Some(Note::Found(place, found)) => Some(Trouble::Found(place, found)),
                Some(Note::Sent) | None => None,
            };
        }
        Ok((trouble, too_much))
    }

    /// Waits until the processes have given back what they can; whether something is wrong,
    /// and whether another load must tell.
    async fn settle(&mut self, attacked: &mut Attacked) -> Result<(Option<Trouble>, bool), Cut> {
        let life = &mut attacked.life;
        let deadline = Instant::now() + SETTLE;
        loop {
            let is_above = attacked.leaks.iter().enumerate().any(|(place, leaks)| {
                leaks
                    .zip(usage(life, place))
                    .is_some_and(|(leaks, now)| leaks.is_above(now))
            });
            if !is_above || Instant::now() >= deadline {
                break;
            }
            let note = tokio::select! {
                note = life.next_within(LOOK) => note,
                stop = self.stop.next() => return Err(Cut::Stopped(stop)),
            };
            match note {
                Some(Note::Exited(..)) => return Ok((Some(Trouble::Ended), false)),
                Some(Note::Found(place, found)) => {
                    return Ok((Some(Trouble::Found(place, found)), false));
                }
                Some(Note::Sent) | None => {}
            }
        }
        let mut is_suspicious = false;
        // The last first: what a proxy keeps open, the server behind it has to keep open too.
        for (place, leaks) in attacked.leaks.iter_mut().enumerate().rev() {
            let (Some(leaks), Some(now)) = (leaks, usage(life, place)) else {
                continue;
            };
            match leaks.look(now) {
                Look::Fine => {}
                Look::Suspicious => is_suspicious = true,
                Look::Leaked(resource, detail) => {
                    let (who, what) = (life.parts[place].who, What::Leaked(resource));
                    let judged = Judged {
                        place,
                        who,
                        what,
                        detail,
                    };
                    return Ok((Some(Trouble::Leaked(judged)), false));
                }
            }
        }
        Ok((None, is_suspicious))
    }

    /// Says what is wrong, and keeps what shows it again.
    async fn conclude(&mut self, attacked: Attacked, trouble: Trouble) -> Result<(), Cut> {
        let Attacked {
            mut life,
            probes,
            watchers,
            history,
            turns,
            ..
        } = attacked;
        let after_ms = u64::try_from(life.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let judged = match trouble {
            Trouble::Leaked(judged) => Some(judged),
            Trouble::Ended => judge::judge(&mut life, None, &probes).await,
            Trouble::Found(place, found) => {
                judge::judge(&mut life, Some((place, found)), &probes).await
            }
        };
        drop(watchers);
        let last_words = judged
            .as_ref()
            .map(|judged| life.parts[judged.place].last_words());
        life.end().await;
        let (Some(judged), Some(last_words)) = (judged, last_words) else {
            return Ok(());
        };
        let stack_top = match judged.what {
            What::Died(_) => stack::top(&last_words),
            _ => None,
        };
        let is_whole = history.is_whole();
        let finding = Finding {
            who: judged.who,
            what: judged.what,
            detail: judged.detail,
            stack_top,
            after_bytes: history.sent_bytes,
            after_connections: history.sent_connections,
            after_ms,
        };
        let bundle = self.bundle(finding, history, turns, last_words)?;
        let (place, is_new) = self.evidence.take(bundle);
        (self.tell)(&Progress::Found(self.evidence.get(place), is_new));
        if !is_new || self.plan.repeats == 0 {
            return Ok(());
        }
        let bundle = &self.evidence.get(place).bundle;
        let seen = tokio::select! {
            seen = evidence::repeated(bundle, self.guard, self.plan.repeats) => seen,
            stop = self.stop.next() => return Err(Cut::Stopped(stop)),
        };
        let seen = seen.map_err(|reason| match is_whole {
            true => reason,
            false => format!("{reason}; only the last of what was sent is kept"),
        });
        self.evidence.repeated(place, seen);
        (self.tell)(&Progress::Repeated(self.evidence.get(place)));
        Ok(())
    }

    fn bundle(
        &self,
        finding: Finding,
        history: History,
        mut turns: Vec<Turn>,
        last_words: Vec<u8>,
    ) -> Result<Bundle, Cut> {
        let killer = history.killer();
        let session = history.session();
        let first = session.connections.first().map_or(0, |first| first.number);
        let begun = turns
            .iter()
            .rposition(|turn| turn.first_connection <= first);
        turns.drain(..begun.unwrap_or(0));
        let strategy = turns.last().map(|turn| turn.strategy);
        if turns.iter().all(|turn| Some(turn.strategy) == strategy) {
            turns.clear();
        }
        let protocol = self.protocol.unwrap_or(Protocol::Tcp);
        let running = match &self.plan.named {
            Named::Running(addr) => Some(addr.to_string()),
            _ => None,
        };
        let corpus = self
            .plan
            .corpus
            .as_ref()
            .map(|(path, _)| path.display().to_string());
        let origin = Origin {
            schema_version: SCHEMA_VERSION,
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            protocol,
            transport: self.plan.transport,
            strategy,
            seed: self.plan.seed,
            from: corpus,
            turns,
            asked: self.asked.clone(),
            processes: self.processes(protocol)?,
            connections: Origin::opened(&session),
        };
        let command = match running {
            Some(addr) => vec![addr],
            None => origin.command_of(finding.who).to_vec(),
        };
        let key = Key::of(&finding, &command);
        Ok(Bundle {
            verdict: Verdict::new(finding, key, killer),
            origin,
            session,
            smaller: None,
            last_words,
        })
    }
}

/// The probes of all processes, which have all answered.
async fn learn(life: &Life, asked: &Asked, protocol: Protocol) -> Result<Vec<Probe>, String> {
    let mut probes = Vec::new();
    for part in &life.parts {
        let mut probe = asked::probe(asked, protocol, part);
        asked::learn(&mut probe, part.at).await.map_err(|how| {
            format!(
                "the {} gives no valid answer before any garbage is sent: {how}; {}",
                part.who.word(),
                part.shown_words()
            )
        })?;
        probes.push(probe);
    }
    Ok(probes)
}

fn usage(life: &Life, place: usize) -> Option<Usage> {
    let part = &life.parts[place];
    if part.status.is_some() {
        return None;
    }
    Some(tree::sample(&[part.pid?])?.into())
}
