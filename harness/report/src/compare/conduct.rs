//! What became of the requests and processes of one side, and whether the other did worse.

use loadgen::record::Counts;

use super::design::Conduct;
use super::{Word, signed_rank};
use crate::event::{Role, Target};
use crate::evidence::Block;
use crate::health::{self, Status};
use crate::reconcile::INTEGRITY;
use crate::text::number;

/// The chance that is accepted of calling failures more that are not.
const LEVEL: f64 = 0.05;

/// Of an earlier run only sums are known. Failures come in bursts, so that their sums say
/// little: they have to be more than this many times as many for each request.
const HISTORY_FACTOR: f64 = 2.0;

/// What became of the requests and processes of these blocks.
pub(super) fn of<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Conduct {
    let mut sum = Conduct::default();
    for block in blocks {
        sum.blocks += 1;
        let records = || block.loads.iter().filter_map(|load| load.record.as_ref());
        sum.invalid_blocks += u32::from(records().any(|record| !record.valid));
        for (counts, is_valid) in counts(block) {
            sum.sent += counts.sent;
            sum.failed += failed(counts, is_valid);
            for (kind, count) in wrong(counts) {
                *sum.wrong.entry(kind.to_owned()).or_insert(0) += count;
            }
        }
        sum.failed += missing(block);
        let told = |role| trouble(block, role).map(|how| format!("round {}: {how}", block.round));
        sum.proxy_troubles.extend(told(Role::Proxy));
        sum.upstream_troubles.extend(told(Role::Upstream));
    }
    sum
}

/// How a process went down, if it did. A proxy that takes no connections is down too.
pub(super) fn trouble(block: &Block, role: Role) -> Option<String> {
    let status = health::status(block, role);
    let is_down = match status {
        Status::Died { .. } | Status::Hung => true,
        Status::Refuses => role == Role::Proxy,
        _ => false,
    };
    is_down.then(|| status.to_string())
}

/// Of the loads that went through the proxy, or would have.
fn counts(block: &Block) -> impl Iterator<Item = (&Counts, bool)> {
    let loads = block.loads.iter();
    let records = loads
        .filter(|load| load.target == Target::Proxy)
        .filter_map(|load| load.record.as_ref());
    records.map(|record| (&record.counts, record.valid))
}

fn wrong(counts: &Counts) -> impl Iterator<Item = (&str, u64)> {
    let kinds = counts.failed.iter().chain(&counts.extra_answers);
    kinds
        .filter(|(kind, count)| INTEGRITY.contains(&kind.as_str()) && **count > 0)
        .map(|(kind, count)| (kind.as_str(), *count))
}

/// What was not written or answered in time when the load client itself was late is held
/// against nobody.
fn failed(counts: &Counts, is_valid: bool) -> u64 {
    let kinds = counts.failed.iter().chain(&counts.extra_answers);
    let others = kinds.filter(|(kind, _)| !INTEGRITY.contains(&kind.as_str()));
    others.map(|(_, count)| count).sum::<u64>()
        + counts.connect_failed.values().sum::<u64>()
        + if is_valid {
            counts.unanswered + counts.never_written
        } else {
            0
        }
}

/// Wrong answers and failures of one block.
type Faults = [u64; 2];

/// Where in [`Faults`] the wrong answers stand.
const WRONG: usize = 0;

/// Lines of statsd that did not come, whoever lost them.
fn missing(block: &Block) -> u64 {
    block.account.as_ref().map_or(0, |account| account.missing)
}

fn faults(block: &Block) -> Faults {
    counts(block).fold(
        [0, missing(block)],
        |[all_wrong, all_failed], (counts, is_valid)| {
            let wrong: u64 = wrong(counts).map(|(_, count)| count).sum();
            [all_wrong + wrong, all_failed + failed(counts, is_valid)]
        },
    )
}

/// What comes of comparing both sides' conduct.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Finding {
    /// The word, if the candidate did worse, and why.
    pub(super) worse: Option<(Word, String)>,
    /// What to know besides.
    pub(super) notes: Vec<String>,
}

/// Compares both sides. `pairs` are the blocks of those rounds that both have; none if
/// the baseline's are of an earlier run.
pub(super) fn compare(
    baseline: &Conduct,
    candidate: &Conduct,
    pairs: Option<&[(&Block, &Block)]>,
) -> Finding {
    let mut finding = Finding::default();
    if baseline.blocks == 0 || candidate.blocks == 0 {
        return finding;
    }
    let roles = [
        (
            Role::Proxy,
            &baseline.proxy_troubles,
            &candidate.proxy_troubles,
        ),
        (
            Role::Upstream,
            &baseline.upstream_troubles,
            &candidate.upstream_troubles,
        ),
    ];
    for (role, before, after) in roles {
        let share = |troubles: &[String], of: &Conduct| {
            format!("{} of {} blocks", troubles.len(), of.blocks)
        };
        let role = role.word();
        match (before.first(), after.first()) {
            (_, Some(first)) if is_more(before, baseline, after, candidate) => {
                let elsewhere = match before.len() {
                    0 => "none".to_owned(),
                    _ => share(before, baseline),
                };
                let why = format!(
                    "the {role} went down in {} of the candidate ({first}), and in {elsewhere} of the baseline",
                    share(after, candidate)
                );
                finding.worse.get_or_insert((Word::Crashed, why));
            }
            (Some(was), Some(is)) => finding.notes.push(format!(
                "the {role} went down on both sides: in {} of the baseline ({was}), in {} of the candidate ({is})",
                share(before, baseline),
                share(after, candidate)
            )),
            (None, Some(_)) => {}
            (Some(was), None) => finding.notes.push(format!(
                "the {role} went down in {} of the baseline ({was}), and in none of the candidate",
                share(before, baseline)
            )),
            (None, None) => {}
        }
    }
    if finding.worse.is_none() {
        finding.worse =
            worse_integrity(baseline, candidate, pairs).map(|why| (Word::WorseIntegrity, why));
    }
    finding
}

/// Whether more of the candidate's blocks are troubled than of the baseline's.
fn is_more(before: &[String], baseline: &Conduct, after: &[String], candidate: &Conduct) -> bool {
    let cross = |troubles: &[String], of: &Conduct| troubles.len() as u64 * u64::from(of.blocks);
    cross(after, baseline) > cross(before, candidate)
}

fn worse_integrity(
    baseline: &Conduct,
    candidate: &Conduct,
    pairs: Option<&[(&Block, &Block)]>,
) -> Option<String> {
    let new = candidate
        .wrong
        .iter()
        .find(|(kind, _)| !baseline.wrong.contains_key(*kind));
    if let Some((kind, count)) = new {
        let [count, sent] = [*count, candidate.sent].map(number::count);
        return Some(format!(
            "{kind}: {count} of {sent} answers of the candidate, none of the baseline"
        ));
    }
    let wrong = |of: &Conduct| of.wrong.values().sum::<u64>();
    let by_pair = |which: usize| -> Option<Vec<f64>> {
        let pairs = pairs?.iter();
        let faults = pairs.map(|(first, second)| (faults(first)[which], faults(second)[which]));
        Some(
            faults
                .map(|(before, after)| after as f64 - before as f64)
                .collect(),
        )
    };
    let kinds = [
        ("wrong answers", wrong as fn(&Conduct) -> u64),
        ("failed requests", |of| of.failed),
    ];
    kinds.into_iter().enumerate().find_map(|(which, (what, count))| {
        let (before, after) = (count(baseline), count(candidate));
        let is_worse = match by_pair(which) {
            _ if after == 0 => false,
            _ if before == 0 => true,
            // A wrong answer is no matter of chance and load, as a failure may be.
            _ if which == WRONG => is_more_of(after, candidate.sent, before, baseline.sent),
            Some(differences) => signed_rank::p_greater(&differences) <= LEVEL,
            None => is_many_times(after, candidate.sent, before, baseline.sent),
        };
        let [before, after, sent] = [before, after, candidate.sent].map(number::count);
        is_worse.then(|| format!("{after} {what} in {sent} sent by the candidate's clients, {before} with the baseline"))
    })
}

fn is_more_of(after: u64, sent_after: u64, before: u64, sent_before: u64) -> bool {
    u128::from(after) * u128::from(sent_before) > u128::from(before) * u128::from(sent_after)
}

fn is_many_times(after: u64, sent_after: u64, before: u64, sent_before: u64) -> bool {
    let share = |count: u64, sent: u64| count as f64 / sent.max(1) as f64;
    share(after, sent_after) > HISTORY_FACTOR * share(before, sent_before)
}
