//! Who died, of what, after what; and who kept answering.

use super::{heading, number, table};
use crate::event::{Role, Sample};
use crate::evidence::{Block, ProcessEvidence};
use crate::figures::DIRECT;
use crate::health::{self, Status};
use crate::run::{RunFile, ScenarioRun};
use crate::verdict::answers_during_attack;
use crate::words;

/// The survival section: every block with garbage, and every process that did not
/// simply survive.
#[must_use]
pub fn section(run: &RunFile) -> String {
    let Survival { mut rows, details } = survival(run);
    if rows.is_empty() {
        return String::new();
    }
    rows.insert(0, HEAD.map(str::to_owned).to_vec());
    let aligns = [
        table::LEFT,
        table::LEFT,
        table::RIGHT,
        table::RIGHT,
        table::LEFT,
        table::LEFT,
        table::LEFT,
    ];
    let mut out = heading("SURVIVAL", "") + &table::render(&rows, &aligns);
    for detail in details {
        out.push_str(&format!("  {detail}\n"));
    }
    out
}

/// What the columns of [`Survival::rows`] hold.
pub(crate) const HEAD: [&str; 7] = [
    "",
    "proxy",
    "garbage sent",
    "decode errors",
    "upstream",
    "proxy",
    "valid clients meanwhile",
];

/// Who died, of what, after what.
#[derive(Debug, Default)]
pub(crate) struct Survival {
    /// A row for each block that tells something, its cells as [`HEAD`] says.
    pub(crate) rows: Vec<Vec<String>>,
    /// How each that died was last seen, and what it said.
    pub(crate) details: Vec<String>,
}

/// What there is to tell of a run.
pub(crate) fn survival(run: &RunFile) -> Survival {
    let mut rows = Vec::new();
    let mut details = Vec::new();
    for scenario in &run.scenarios {
        for block in scenario.blocks.iter().filter(|block| is_telling(block)) {
            rows.push(row(scenario, block));
            details.extend(
                block
                    .watched()
                    .filter_map(|(_, name, process)| death(scenario, &name, process)),
            );
        }
    }
    Survival { rows, details }
}

pub(crate) fn is_telling(block: &Block) -> bool {
    let calm = [Status::Survived, Status::Unwatched];
    !block.fuzzes.is_empty()
        || !calm.contains(&health::status(block, Role::Upstream))
        || !calm.contains(&health::status(block, Role::Proxy))
}

fn row(scenario: &ScenarioRun, block: &Block) -> Vec<String> {
    let garbage = if block.fuzzes.is_empty() {
        "none".to_owned()
    } else {
        number::bytes(block.garbage_bytes())
    };
    let errors = block
        .upstreams()
        .map(|(_, process)| process.decode_errors())
        .sum();
    let proxy = if block.subject == DIRECT {
        "-".to_owned()
    } else {
        health::status(block, Role::Proxy).to_string()
    };
    vec![
        scenario.header.name.clone(),
        proxy_words(scenario, block),
        garbage,
        number::count(errors),
        upstreams(block),
        proxy,
        answers(block),
    ]
}

/// What became of the servers; of several, those that did not simply survive by name.
fn upstreams(block: &Block) -> String {
    let status = health::status(block, Role::Upstream);
    if block.more_upstreams.is_empty() || status == Status::Survived {
        return status.to_string();
    }
    let others = block.upstreams().filter_map(|(name, _)| {
        let status = health::status_of(block, &name);
        (status != Status::Survived).then(|| format!("{status} ({name})"))
    });
    others.collect::<Vec<_>>().join(", ")
}

/// The subject, with the arguments that make it what it is here.
fn proxy_words(scenario: &ScenarioRun, block: &Block) -> String {
    let args = scenario
        .header
        .config
        .pointer("/proxy/args")
        .and_then(|args| args.as_array());
    let args: Vec<&str> = args
        .into_iter()
        .flatten()
        .filter_map(|arg| arg.as_str())
        .collect();
    if block.subject == DIRECT || args.is_empty() {
        block.subject.clone()
    } else {
        format!("{} {}", block.subject, args.join(" "))
    }
}

fn answers(block: &Block) -> String {
    if block.loads.is_empty() {
        return "none".to_owned();
    }
    if let Some(account) = &block.account {
        let [received, sent] = [account.received, account.sent].map(number::count);
        return format!("{received} of {sent} lines arrived");
    }
    let somebody_died = block
        .watched()
        .any(|(.., process)| process.death().is_some());
    if let Some(answered) = answers_during_attack(block, None).filter(|_| !somebody_died) {
        return format!("{} answered during the attack", number::count(answered));
    }
    let counts = block
        .loads
        .iter()
        .filter_map(|load| load.record.as_ref())
        .map(|record| &record.counts);
    let (answered, failed) = counts.fold((0, 0), |(answered, failed), counts| {
        (
            answered + counts.acked + counts.naked,
            failed + counts.failed_total() + counts.unanswered + counts.never_written,
        )
    });
    format!(
        "{} answered, {} not",
        number::count(answered),
        number::count(failed)
    )
}

fn death(scenario: &ScenarioRun, whose: &str, process: &ProcessEvidence) -> Option<String> {
    let death = process.death()?;
    let name = &scenario.header.name;
    let mut said = format!("{name}: the {whose} died ({})", death.exit.cause());
    if let Some(Sample {
        resident_bytes,
        descriptors,
        threads,
        ..
    }) = process.last_sample()
    {
        let memory = number::bytes(*resident_bytes);
        said.push_str(&format!(
            "; last seen with {memory} resident, {descriptors} descriptors, {threads} threads"
        ));
    }
    if let Some(words) = words::last_words(&death.exit) {
        said.push_str(&format!("; its last words: {words}"));
    }
    Some(said)
}
