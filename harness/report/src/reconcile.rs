//! Everybody's counts beside each other: what the clients sent, what the proxy saw, what
//! the upstream answered.
//!
//! Only where valid requests are the only traffic, nobody died and no connection broke do
//! the counts have to agree; the harness's own probes are traffic too, and are added.

use serde::{Deserialize, Serialize};

use crate::event::{Probe, ProbeOutcome, Target};
use crate::evidence::{Block, LoadEvidence, ProcessEvidence};
use crate::run::ScenarioRun;

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The block's round.
    pub round: u32,
    /// The block's subject.
    pub subject: String,
    /// What is counted, by whom: `upstream requests`.
    pub what: String,
    /// What the clients' counts and the probes add up to.
    pub expected: u64,
    /// What was counted.
    pub counted: u64,
}

impl Row {
    /// Whether both agree.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.expected == self.counted
    }
}

/// All comparisons that can be made.
#[must_use]
pub fn rows(scenario: &ScenarioRun) -> Vec<Row> {
    let config = &scenario.header.config;
    let blocks = scenario.blocks.iter();
    blocks.flat_map(|block| block_rows(block, config)).collect()
}

fn block_rows(block: &Block, config: &serde_json::Value) -> Vec<Row> {
    // Bytes that come back are no requests to those who only pass them on; lines of
    // statsd and datagrams have accounts of their own.
    let mode = config.pointer("/proxy/mode");
    if matches!(
        mode.and_then(serde_json::Value::as_str),
        Some("tcp" | "statsd" | "udp")
    ) {
        return Vec::new();
    }
    let is_comparable = block.fuzzes.is_empty()
        && block.loads.iter().all(is_settled)
        && block.faults.is_empty()
        && block
            .watched()
            .all(|(.., process)| was_always_there(process));
    if !is_comparable {
        return Vec::new();
    }
    let through = sent(block, Target::Proxy) + probes(block.proxy.as_ref());
    let mut rows = Vec::new();
    let mut push = |what: &str, expected: u64, counted: Option<u64>| {
        if let Some(counted) = counted {
            let (round, subject) = (block.round, block.subject.clone());
            rows.push(Row {
                round,
                subject,
                what: what.to_owned(),
                expected,
                counted,
            });
        }
    };
    if let Some(counts) = block.proxy.as_ref().and_then(|proxy| proxy.counts.as_ref()) {
        let field = |name: &str| counts.get(name).and_then(serde_json::Value::as_u64);
        push("proxy msg_req", through, field("msg_req"));
        let answers = field("msg_ack")
            .zip(field("msg_nak"))
            .map(|(ack, nak)| ack + nak);
        push("proxy msg_ack + msg_nak", through, answers);
    }
    // Of several servers each counts its own share.
    let counts = block.upstreams().map(|(_, upstream)| {
        let counted = upstream.counts.as_ref()?.get("requests")?.as_u64();
        Some((counted?, upstream.probe_requests()))
    });
    let counts: Option<Vec<(u64, u64)>> = counts.collect();
    if let Some(counts) = counts.filter(|counts| !counts.is_empty()) {
        let asked: u64 = counts.iter().map(|(_, probes)| probes).sum();
        push(
            "upstream requests",
            through + sent(block, Target::Upstream) + asked,
            Some(counts.iter().map(|(counted, _)| counted).sum()),
        );
    }
    rows
}

/// Whether every request was answered somehow: what was under way when a connection
/// broke may have reached anybody or nobody.
fn is_settled(load: &LoadEvidence) -> bool {
    load.record.as_ref().is_some_and(|record| {
        let mut kinds = record.counts.failed.iter().filter(|(_, count)| **count > 0);
        record.counts.unanswered == 0 && kinds.all(|(kind, _)| INTEGRITY.contains(&kind.as_str()))
    })
}

/// Failures of an answer, not of a connection.
pub const INTEGRITY: [&str; 6] = [
    "lost",
    "duplicated",
    "reordered",
    "misrouted",
    "corrupted",
    "unexpected",
];

/// The same for the harness's own probes.
fn was_always_there(process: &ProcessEvidence) -> bool {
    let answered =
        |probe: &Probe| matches!(probe.outcome, ProbeOutcome::Answered | ProbeOutcome::Wrong);
    process.death().is_none()
        && process
            .probes
            .iter()
            .all(|timed| !timed.probe.sent || answered(&timed.probe))
}

/// Requests that the load clients wrote, warm-up included: the sum over all slices of
/// time, since a request that was due in the warm-up may have been written after it.
fn sent(block: &Block, target: Target) -> u64 {
    // Without a proxy both targets are the upstream.
    let counts_here = |load: Target| {
        if block.proxy.is_none() {
            target == Target::Upstream
        } else {
            load == target
        }
    };
    block
        .loads
        .iter()
        .filter(|load| counts_here(load.target))
        .filter_map(|load| load.record.as_ref())
        .map(|record| record.intervals.iter().map(|slice| slice.sent).sum::<u64>())
        .sum()
}

fn probes(process: Option<&ProcessEvidence>) -> u64 {
    process.map_or(0, ProcessEvidence::probe_requests)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::event::{Event, ProbeOutcome, Role};
    use crate::expect::{Expectation, Origin};
    use crate::fixtures::{SENT, Story, load_record};
    use crate::run::RunFile;
    use crate::verdict::Outcome;

    /// Each of the two is probed ten times; the upstream sees both.
    fn run(proxy_saw: u64, upstream_saw: u64, change: fn(Story) -> Story) -> RunFile {
        let story = Story::new(vec![Expectation::reconcile(Origin::Scenario)]).block("builtin");
        let story = change(story.load(load_record(100, 70)))
            .counted(
                Role::Proxy,
                json!({"msg_req": proxy_saw, "msg_ack": proxy_saw - 100, "msg_nak": 100}),
            )
            .counted(Role::Upstream, json!({"requests": upstream_saw}));
        RunFile::from_events(&story.end().0)
    }

    fn verdict(run: &RunFile) -> Outcome {
        run.scenarios[0].verdicts[0].outcome
    }

    #[test]
    fn counts_that_agree_pass_and_others_fail() {
        let sound = run(SENT + 10, SENT + 20, |story| story);
        assert_eq!(sound.scenarios[0].reconciliation.len(), 3);
        assert_eq!(verdict(&sound), Outcome::Pass);
        for (proxy, upstream) in [
            (SENT + 9, SENT + 20),
            (SENT + 10, SENT + 19),
            (SENT + 10, SENT + 21),
        ] {
            let run = run(proxy, upstream, |story| story);
            assert_eq!(
                (verdict(&run), run.exit_code),
                (Outcome::Fail, 1),
                "{proxy} {upstream}"
            );
        }
    }

    #[test]
    fn every_judged_block_must_have_been_compared() {
        let judged = |story: Story| verdict(&RunFile::from_events(&story.end().0));
        let begun = || {
            Story::new(vec![Expectation::reconcile(Origin::Scenario)])
                .block("builtin")
                .load(load_record(100, 70))
                .counted(Role::Upstream, json!({"requests": SENT + 20}))
        };
        let proxy = json!({"msg_req": SENT + 10});
        assert_eq!(
            judged(begun()),
            Outcome::Inconclusive,
            "our proxy told nothing"
        );
        let whole = || begun().counted(Role::Proxy, proxy.clone());
        assert_eq!(judged(whole()), Outcome::Pass);
        let second = whole()
            .at(
                2_050,
                Event::BlockStarted {
                    round: 2,
                    subject: "builtin".to_owned(),
                    arm: None,
                    rate: None,
                },
            )
            .load(load_record(100, 70));
        let run = RunFile::from_events(&second.end().0);
        let verdict = &run.scenarios[0].verdicts[0];
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        assert!(
            verdict.evidence.contains("builtin (round 2)"),
            "{}",
            verdict.evidence
        );
    }

    #[test]
    fn garbage_deaths_and_broken_connections_leave_nothing_to_compare() {
        let changes: [fn(Story) -> Story; 3] = [
            |story| story.garbage(10),
            |story| story.exit(Role::Proxy, "SIGSEGV", false),
            |story| {
                story
                    .probe(Role::Proxy, 1_200, 1, ProbeOutcome::Closed)
                    .probe(Role::Proxy, 1_300, 1, ProbeOutcome::Answered)
            },
        ];
        for change in changes {
            let run = run(1_000, 1_000, change);
            assert!(run.scenarios[0].reconciliation.is_empty());
            assert_eq!(verdict(&run), Outcome::Inconclusive);
        }
    }
}
