//! What a comparison takes from the blocks of a scenario: their figures, which of them
//! are fit to be compared, and which belong together.

use std::collections::BTreeSet;

use serde_json::Value;

use super::conduct;
use super::design::{Arm, BlockFigures, Conduct, Design, Kind};
use super::metrics::{COMPARED, LoadKind, is_known_of};
use super::sample::value;
use crate::bound::Metric;
use crate::event::{Role, Target};
use crate::evidence::{Block, LoadEvidence, ProcessEvidence};
use crate::run::ScenarioRun;

/// Whether a scenario has figures to compare: nobody in it is there to do harm, and what
/// it shows is not who survives.
#[must_use]
pub fn is_timed(scenario: &ScenarioRun) -> bool {
    let config = &scenario.header.config;
    let of = |key: &str| {
        config
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let is_planted = |upstream: &Value| {
        let defects = upstream.get("defects").and_then(Value::as_array);
        defects.is_some_and(|defects| !defects.is_empty())
    };
    let does_harm = ["fuzz", "fault"]
        .into_iter()
        .any(|key| of(key).next().is_some());
    !scenario.has_garbage() && !does_harm && !of("upstream").any(is_planted)
}

/// The load that is compared: the first against the proxy, by name, so that it is the same
/// in each block, whichever ended first.
#[must_use]
pub fn load_of(block: &Block) -> Option<&LoadEvidence> {
    let loads = block
        .loads
        .iter()
        .filter(|load| load.target == Target::Proxy);
    loads.min_by(|a, b| a.name.cmp(&b.name))
}

/// The figures of a block. Latencies are in microseconds, as is the CPU time of the
/// proxy's process tree for each request; where there is no proxy, that of the load client
/// itself stands in its place, which shows how the machine changes. Memory is the most that
/// the tree had resident (VmHWM of each process, added up), which the start-up may decide
/// as well as the load.
#[must_use]
pub fn figures(block: &Block) -> BlockFigures {
    let Some((load, record)) = load_of(block).and_then(|load| Some((load, load.record.as_ref()?)))
    else {
        return BlockFigures::new();
    };
    let response = &record.latency_us.response;
    let cpu = match &block.proxy {
        Some(_) => load.cpu_us_per_msg(),
        None => Some(record.client.cpu_s * 1e6 / record.counts.sent as f64),
    };
    let memory = block.proxy.as_ref().and_then(ProcessEvidence::peak_bytes);
    let all = [
        (Metric::P50, response.p50),
        (Metric::P99, response.p99),
        (Metric::P99_9, response.p99_9),
        (Metric::Rate, Some(record.achieved_rate)),
        (Metric::CpuPerMsg, cpu),
        (Metric::Throughput, load.gbit_per_s()),
        (Metric::BitsPerCpuSecond, load.gbit_per_cpu_s()),
        (
            Metric::LinesPerCpuSecond,
            load.lines_per_cpu_s(block.account.as_ref()),
        ),
        (Metric::PeakMemory, memory.map(|bytes| bytes as f64)),
    ];
    let kind = match (&record.bulk, &record.statsd) {
        (Some(_), _) => LoadKind::Bulk,
        (None, Some(_)) => LoadKind::Lines,
        (None, None) => LoadKind::Messages,
    };
    let known = all.into_iter();
    let known = known.filter(|(metric, _)| is_known_of(*metric, kind));
    let measured = known.filter_map(|(metric, value)| {
        // A run file cannot hold what is not finite.
        Some((metric, value.filter(|value| value.is_finite())?))
    });
    measured.collect()
}

/// The same of one side of a comparison, where the cost of a load client is no match for
/// that of a proxy.
#[must_use]
pub fn figures_of_side(block: &Block) -> BlockFigures {
    let mut figures = figures(block);
    if block.proxy.is_none() {
        figures.remove(&Metric::CpuPerMsg);
    }
    figures
}

/// What became of the requests and processes of these blocks.
pub fn conduct<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Conduct {
    conduct::of(blocks)
}

/// Whether a block shows that somebody went down in it.
#[must_use]
pub fn is_down(block: &Block) -> bool {
    [Role::Proxy, Role::Upstream]
        .into_iter()
        .any(|role| conduct::trouble(block, role).is_some())
}

/// Whether a block's figures may be compared.
#[must_use]
pub fn is_valid(block: &Block) -> bool {
    unfit(block).is_none()
}

/// Why a block's figures may not be compared, if so.
#[must_use]
pub fn unfit(block: &Block) -> Option<String> {
    for role in [Role::Proxy, Role::Upstream] {
        if let Some(trouble) = conduct::trouble(block, role) {
            return Some(format!("the {} {trouble}", role.word()));
        }
    }
    if let Some(problem) = &block.problem {
        return Some(problem.clone());
    }
    let evidence = load_of(block);
    let Some(record) = evidence.and_then(|evidence| evidence.record.as_ref()) else {
        let problem = evidence.and_then(|evidence| evidence.problem.clone());
        return Some(problem.unwrap_or_else(|| "it was cut short".to_owned()));
    };
    if block.ended_mono_ns.is_none() {
        return Some("it was cut short".to_owned());
    }
    if !record.valid {
        let reason = record.invalid_reasons.first();
        return Some(reason.map_or_else(
            || "its load client did not keep its schedule".to_owned(),
            |reason| format!("invalid: {reason}"),
        ));
    }
    (record.counts.sent == 0).then(|| "nothing was sent".to_owned())
}

/// The blocks of the baseline in this run; in a comparison with history there are none.
pub fn of_baseline<'a>(
    scenario: &'a ScenarioRun,
    design: &'a Design,
) -> impl Iterator<Item = &'a Block> {
    scenario.blocks.iter().filter(|block| match design.kind {
        Kind::Pairs => block.arm == Some(Arm::Baseline),
        Kind::Tournament => block.arm.is_none() && block.subject == design.baseline,
        Kind::History => false,
    })
}

/// The blocks of a candidate.
pub fn of_candidate<'a>(
    scenario: &'a ScenarioRun,
    design: &'a Design,
    candidate: &'a str,
) -> impl Iterator<Item = &'a Block> {
    let of_subject = scenario
        .blocks
        .iter()
        .filter(move |block| block.subject == candidate);
    of_subject.filter(|block| match design.kind {
        Kind::Pairs => block.arm == Some(Arm::Candidate),
        Kind::Tournament => block.arm.is_none(),
        Kind::History => matches!(block.arm, None | Some(Arm::Candidate)),
    })
}

/// What belongs together: the blocks of the baseline and those of the candidate in one
/// round. There are several of each, as the order ABBA needs, or none if the run was cut
/// short.
#[derive(Clone, Debug)]
pub struct Pair<'a> {
    /// Its number.
    pub round: u32,
    /// The baseline's blocks.
    pub baseline: Vec<&'a Block>,
    /// The candidate's.
    pub candidate: Vec<&'a Block>,
}

/// The blocks of both sides, by round.
#[must_use]
pub fn paired<'a>(
    scenario: &'a ScenarioRun,
    design: &'a Design,
    candidate: &'a str,
) -> Vec<Pair<'a>> {
    by_round(
        of_baseline(scenario, design).collect(),
        of_candidate(scenario, design, candidate).collect(),
    )
}

fn by_round<'a>(baseline: Vec<&'a Block>, candidate: Vec<&'a Block>) -> Vec<Pair<'a>> {
    let blocks = baseline.iter().chain(&candidate);
    let rounds: BTreeSet<u32> = blocks.map(|block| block.round).collect();
    let of = |blocks: &[&'a Block], round: u32| -> Vec<&'a Block> {
        let of_round = blocks.iter().filter(|block| block.round == round);
        of_round.copied().collect()
    };
    let pair = |round: u32| Pair {
        round,
        baseline: of(&baseline, round),
        candidate: of(&candidate, round),
    };
    rounds.into_iter().map(pair).collect()
}

impl Pair<'_> {
    /// The figures of both sides, each the mean over its blocks. If one of them may not be
    /// compared, the pair may not: what is left would not be in the order ABBA, and might be
    /// what a side does on its good days.
    ///
    /// # Errors
    /// Why a side has none.
    pub fn figures(&self) -> Result<(BlockFigures, BlockFigures), Vec<String>> {
        let baseline = self.side("baseline", &self.baseline);
        let candidate = self.side("candidate", &self.candidate);
        match (baseline, candidate) {
            (Ok(baseline), Ok(candidate)) => Ok((baseline, candidate)),
            (baseline, candidate) => Err([baseline.err(), candidate.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
    }

    fn side(&self, name: &str, blocks: &[&Block]) -> Result<BlockFigures, String> {
        let round = self.round;
        if blocks.is_empty() {
            return Err(format!("pair {round}: no block of the {name}"));
        }
        if let Some(why) = blocks.iter().find_map(|block| unfit(block)) {
            return Err(format!("pair {round}: block of the {name}: {why}"));
        }
        let figures: Vec<BlockFigures> =
            blocks.iter().map(|block| figures_of_side(block)).collect();
        Ok(mean(&figures))
    }
}

/// The geometric mean of each figure: what is compared are ratios.
fn mean(blocks: &[BlockFigures]) -> BlockFigures {
    let means = COMPARED.iter().filter_map(|metric| {
        let values: Vec<f64> = blocks
            .iter()
            .filter_map(|block| value(block, *metric))
            .collect();
        let sum: f64 = values.iter().map(|value| value.ln()).sum();
        (!values.is_empty()).then(|| (*metric, (sum / values.len() as f64).exp()))
    });
    means.collect()
}

/// The figures of the pairs all of whose blocks are fit to be compared, as many as are
/// wanted at most; and why the others are not.
#[must_use]
pub fn fit_pairs(
    pairs: &[Pair<'_>],
    wanted: usize,
) -> (Vec<(BlockFigures, BlockFigures)>, Vec<String>) {
    let (mut fit, mut left_out) = (Vec::new(), Vec::new());
    for pair in pairs {
        match pair.figures() {
            Ok(_) if fit.len() == wanted => {
                let round = pair.round;
                left_out.push(format!("pair {round}: not needed, {wanted} were wanted"));
            }
            Ok(figures) => fit.push(figures),
            Err(reasons) => left_out.extend(reasons),
        }
    }
    (fit, left_out)
}

/// Pairs of the baseline with itself in a scenario: the natural logarithm of the ratio of
/// both sides, for each pair that is fit.
#[must_use]
pub fn noise_pairs(scenario: &ScenarioRun) -> Vec<BlockFigures> {
    let of = |arm: Arm| -> Vec<&Block> {
        let blocks = scenario.blocks.iter();
        blocks.filter(|block| block.arm == Some(arm)).collect()
    };
    by_round(of(Arm::NoiseFirst), of(Arm::NoiseSecond))
        .iter()
        .filter_map(|pair| pair.figures().ok())
        .map(|(first, second)| log_ratios(&first, &second))
        .collect()
}

fn log_ratios(first: &BlockFigures, second: &BlockFigures) -> BlockFigures {
    let ratios = COMPARED.iter().filter_map(|metric| {
        let ratio = value(second, *metric)? / value(first, *metric)?;
        Some((*metric, ratio.ln()))
    });
    ratios.collect()
}

/// The figures of going direct, beside the blocks of a candidate.
#[must_use]
pub fn anchors(scenario: &ScenarioRun) -> Vec<BlockFigures> {
    let anchors = scenario
        .blocks
        .iter()
        .filter(|block| block.arm == Some(Arm::Anchor));
    anchors
        .filter(|block| is_valid(block))
        .map(figures)
        .collect()
}
