//! One strategy's turn, and the rest after a round of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bundle::{Turn, What};
use fuzzclient::generate::Protocol;
use fuzzclient::probe::Probe;

use super::{Attacked, Cut, Hunter, Progress, Trouble, usage};
use crate::crash::judge::Judged;
use crate::crash::leaks::Look;
use crate::crash::life::Note;
use crate::crash::{asked, rounds, send};

/// Between two looks at what the processes have.
const LOOK: Duration = Duration::from_millis(50);

/// How long a process may take to give back what it can.
const SETTLE: Duration = Duration::from_secs(5);

/// How long a target that is gone may take to be seen to be.
const DEATH_PATIENCE: Duration = Duration::from_secs(1);

impl Hunter<'_> {
    /// One strategy's turn; whether something was wrong, and whether so much is kept that the
    /// load has to end.
    pub(super) async fn turn(
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
    pub(super) async fn settle(
        &mut self,
        attacked: &mut Attacked,
    ) -> Result<(Option<Trouble>, bool), Cut> {
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
}
