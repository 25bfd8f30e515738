//! How a target is to be talked to: found out once, before anything is sent.

use std::time::Duration;

use bundle::{Asked, Transport};
use fuzzclient::generate::Protocol;
use fuzzclient::probe::{Outcome, Probe, Question};

use super::{Cut, Hunter, Progress};
use crate::crash::asked::{self, ask};
use crate::crash::life::Life;
use crate::crash::target::Named;

impl Hunter<'_> {
    /// How the target is to be talked to: found out once, in a life of its own, so that nothing
    /// of it is missing in what is kept of the others.
    pub(super) async fn aim(&mut self) -> Result<(Protocol, Asked), Cut> {
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
        let speaks = speaks && matches!(ask(&probe, part.at).await, Outcome::Answered(..));
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
            Outcome::Silent => self.asked_with(Question::Connect),
            _ => asked,
        }
    }
}

/// The probes of all processes, which have all answered.
pub(super) async fn learn(
    life: &Life,
    asked: &Asked,
    protocol: Protocol,
) -> Result<Vec<Probe>, String> {
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
