//! Blocks and runs made by hand.

use super::super::*;
use crate::compare::design::Arm;
use crate::event::{Exit, Sample, ScenarioHeader, Target};
use crate::evidence::{LoadEvidence, ProcessEvidence, TimedExit, TimedSample};
use crate::fixtures::{SENT, load_record};

/// What a block is to show: response time, CPU time for each request, memory.
#[derive(Clone, Copy)]
pub(super) struct Show {
    pub(super) p50: f64,
    pub(super) cpu: f64,
    pub(super) memory: f64,
    pub(super) rate: f64,
}

pub(super) const PLAIN: Show = Show {
    p50: 100.0,
    cpu: 5.0,
    memory: 1e7,
    rate: 20_000.0,
};

/// A little noise, different for each metric and block, never the same twice.
pub(super) fn off(round: u32, salt: u64) -> f64 {
    let random = loadgen::mix::mix(u64::from(round), salt);
    1.0 + ((random % 2_001) as f64 - 1_000.0) * 1e-5
}

pub(super) fn block(round: u32, arm: Arm, show: Show) -> Block {
    let (subject, salt) = match arm {
        Arm::Candidate => ("new", 1),
        Arm::Anchor => (DIRECT, 2),
        Arm::NoiseFirst => ("old", 3),
        Arm::NoiseSecond => ("old", 4),
        Arm::Baseline => ("old", 5),
    };
    let mut record = load_record(100, 70);
    let response = &mut record.latency_us.response;
    response.p50 = Some(show.p50 * off(round, salt));
    response.p99 = Some(3.0 * show.p50 * off(round, salt + 10));
    response.p99_9 = Some(9.0 * show.p50 * off(round, salt + 20));
    record.achieved_rate = show.rate * off(round, salt + 30);
    record.client.cpu_s = show.cpu * 1e-6 * SENT as f64 * off(round, salt + 40);
    let load = LoadEvidence {
        name: "load".to_owned(),
        target: Target::Proxy,
        proxy_cpu_ns: Some((show.cpu * 1e3 * SENT as f64 * off(round, salt + 40)) as u64),
        record: Some(record),
        problem: None,
    };
    let sample = TimedSample {
        mono_ns: 1,
        sample: Sample {
            peak_bytes: (show.memory * off(round, salt + 50)) as u64,
            ..Sample::default()
        },
    };
    let process = ProcessEvidence {
        samples: vec![sample],
        ..ProcessEvidence::default()
    };
    Block {
        round,
        subject: subject.to_owned(),
        arm: Some(arm),
        ended_mono_ns: Some(9),
        upstream: Some(ProcessEvidence::default()),
        proxy: (subject != DIRECT).then_some(process),
        loads: vec![load],
        ..Block::default()
    }
}

pub(super) fn both(pairs: u32, baseline: Show, candidate: Show) -> Vec<Block> {
    (1..=pairs)
        .flat_map(|round| {
            [
                block(round, Arm::Baseline, baseline),
                block(round, Arm::Candidate, candidate),
            ]
        })
        .collect()
}

pub(super) fn design(kind: Kind) -> Design {
    Design {
        kind,
        baseline: "old".to_owned(),
        candidates: vec!["new".to_owned()],
        pairs: 10,
        spare_pairs: 3,
        history: None,
    }
}

pub(super) fn scenario(name: &str, blocks: Vec<Block>) -> ScenarioRun {
    ScenarioRun {
        header: ScenarioHeader {
            name: name.to_owned(),
            compared: true,
            ..ScenarioHeader::default()
        },
        complete: true,
        blocks,
        ..ScenarioRun::default()
    }
}

pub(super) fn run(design: Design, scenarios: Vec<ScenarioRun>) -> RunFile {
    let mut run = RunFile::default();
    run.header.design = Some(design);
    run.scenarios = scenarios;
    run.conclude();
    run
}

/// One scenario in pairs: the comparison and the exit code.
pub(super) fn judged(blocks: Vec<Block>) -> (Comparison, u8) {
    let mut run = run(design(Kind::Pairs), vec![scenario("latency", blocks)]);
    (run.comparisons.remove(0), run.exit_code)
}

pub(super) fn word_of(comparison: &Comparison, metric: Metric) -> Word {
    let metrics = &comparison.scenarios[0].metrics;
    metrics
        .iter()
        .find(|compared| compared.metric == metric)
        .unwrap()
        .word
}

pub(super) fn change(blocks: &mut [Block], arm: Arm, mut how: impl FnMut(&mut Block)) {
    for block in blocks.iter_mut().filter(|block| block.arm == Some(arm)) {
        how(block);
    }
}

pub(super) fn counts(block: &mut Block) -> &mut loadgen::record::Counts {
    &mut block.loads[0].record.as_mut().unwrap().counts
}

pub(super) fn dies(process: &mut Option<ProcessEvidence>) {
    let exit = Exit {
        signal: Some("SIGSEGV".to_owned()),
        ..Exit::default()
    };
    process.as_mut().unwrap().exit = Some(TimedExit { mono_ns: 5, exit });
}
