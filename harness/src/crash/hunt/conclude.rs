//! What is made of trouble: a judgement, a bundle, and whether it comes again.

use bundle::origin::SCHEMA_VERSION;
use bundle::{Bundle, Finding, Key, Origin, Turn, Verdict, What, stack};
use fuzzclient::generate::Protocol;

use super::{Attacked, Cut, Hunter, Progress, Trouble};
use crate::crash::history::History;
use crate::crash::target::Named;
use crate::crash::{evidence, judge};

impl Hunter<'_> {
    /// Says what is wrong, and keeps what shows it again.
    pub(super) async fn conclude(
        &mut self,
        attacked: Attacked,
        trouble: Trouble,
    ) -> Result<(), Cut> {
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
        self.sums.found_after.get_or_insert(self.started.elapsed());
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
