//! `harness compare`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use report::compare::design::{Design, Kind};
use report::compare::{judge, metrics};
use service::units::parse_duration;

use super::run::{apply, plan, sources};
use super::{Common, carry_out, check, descriptor, usage};
use crate::comparison::{Sides, is_timed, planned};
use crate::descriptor::Descriptor;
use crate::history::{self, Earlier};
use crate::plan::Planned;
use crate::scenario::{Mode, Scenario};
use crate::{host, noise, output};

/// Compare two versions of a proxy: faster, slower, equivalent, or cannot tell
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Compare {
    /// Compare with this: a path, git:REV, direct, haproxy, nginx, envoy, cmd:…, or the run
    /// file of an earlier run
    #[arg(long, value_name = "P|RUN.json")]
    baseline: String,

    /// Compare this: a path, git:REV, direct, haproxy, nginx, envoy or cmd:…
    #[arg(long, value_name = "P", value_parser = descriptor)]
    candidate: Descriptor,

    /// Compare them in this scenario, built in or a file; may be given several times
    /// [default: latency]
    #[arg(long = "scenario", value_name = "NAME|FILE.toml")]
    scenarios: Vec<String>,

    /// Run this many pairs, each of four blocks; up to as many more take the place of those
    /// with an invalid block
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(8..=200))]
    pairs: u32,

    /// Measure each block for this long [default: the scenario's]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// Measure anew how much the baseline differs from itself; else that is known for a day
    #[arg(long)]
    fresh_noise: bool,

    /// Keep the run file here as well, with blocks of going direct beside the candidate's,
    /// so that it can be a --baseline later
    #[arg(long, value_name = "FILE.json")]
    save: Option<PathBuf>,

    /// Accept a --baseline that was measured on another machine; the report says so
    #[arg(long)]
    allow_other_host: bool,

    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Each block has fresh processes, on the same ports for both. A pair is four blocks, as ABBA
or as BAAB; as many pairs of the baseline with itself show what this machine calls a
difference when there is none. For each metric the Hodges-Lehmann estimate of the
ratio is given with the interval and the test of signed ranks, at the level that Holm's
method leaves it. A version that is faster and loses messages is worse.

Verdicts: faster and slower (the whole interval lies beyond the margin: 5 % for p50, rate
and CPU per message, 10 % for p99 and peak memory), changed within margin, equivalent,
inconclusive, unstable (the baseline differs from itself by more than the margin), invalid,
crashed, worse integrity.

Exit codes: 0 faster, equivalent or within the margin; 1 slower or worse integrity; 4 the
candidate died; 3 otherwise; 130 after Ctrl-C, with a report of what there is.

Examples:
  Did the last commit make our proxy slower?
    harness compare --baseline git:HEAD~1 --candidate git:HEAD
  Two builds, when there is time between requests and when there is none, with more pairs
  to see smaller changes:
    harness compare --baseline ./old/proxy --candidate ./new/proxy \\
      --scenario latency --scenario busy --pairs 20
  Ours beside HAProxy, and whether the upstream survives garbage:
    harness compare --baseline haproxy --candidate git:HEAD --scenario crash-shield
  Against what was measured here last week:
    harness compare --baseline haproxy --candidate ./proxy --save last-week.json
    harness compare --baseline last-week.json --candidate ./proxy";

pub(super) fn execute(compare: &Compare) -> ExitCode {
    if let Some(path) = compare.save.as_ref().filter(|path| !is_run_file(path)) {
        return usage(&format!(
            "--save {}: expected a name that ends in .json, as a --baseline has",
            path.display()
        ));
    }
    if let Some(missing) = compare
        .save
        .as_ref()
        .and_then(|path| missing_directory(path))
    {
        return usage(&format!(
            "--save: there is no directory {}",
            missing.display()
        ));
    }
    let baseline = Path::new(&compare.baseline);
    if is_run_file(baseline) && compare.duration.is_some() {
        return usage("--duration: beside an earlier run blocks are as long as they were then");
    }
    let earlier = if is_run_file(baseline) {
        match history::read(baseline, compare.allow_other_host) {
            Ok(earlier) => Some(earlier),
            Err(message) => return usage(&message),
        }
    } else {
        None
    };
    let (sides, mut scenarios) = match sides_and_scenarios(compare, earlier.as_ref()) {
        Ok(both) => both,
        Err(message) => return usage(&message),
    };
    for (scenario, _) in &mut scenarios {
        apply(&compare.common, scenario);
        for load in &mut scenario.load {
            load.duration = compare.duration.unwrap_or(load.duration);
        }
    }
    let tests: usize = scenarios
        .iter()
        .filter(|(scenario, _)| is_timed(scenario))
        .map(|(scenario, _)| {
            let is_open_loop = scenario.load.iter().all(|load| !load.closed);
            let kind = kind_of(scenario);
            let judged = judge::JUDGED.into_iter();
            judged
                .filter(|metric| metrics::is_known_of(*metric, kind))
                .filter(|metric| metrics::is_judged(*metric, is_open_loop))
                .count()
        })
        .sum();
    let needed = judge::pairs_needed(tests);
    if tests > 0 && compare.pairs < needed {
        return usage(&format!(
            "--pairs {}: {tests} figures in all are compared, and with fewer than {needed} pairs \
             no difference in any of them could be told from chance",
            compare.pairs
        ));
    }
    let seed = compare.common.seed.unwrap_or_else(host::random_seed);
    let anchors = compare.save.is_some() || earlier.is_some();
    let mut all = Vec::new();
    for (scenario, source) in scenarios {
        match planned(scenario, source, &sides, compare.pairs, anchors, seed) {
            Ok(planned) => all.push(planned),
            Err(error) => return usage(&error),
        }
    }
    run(compare, sides, earlier, all, seed)
}

fn run(
    compare: &Compare,
    sides: Sides,
    earlier: Option<Earlier>,
    mut scenarios: Vec<Planned>,
    seed: u64,
) -> ExitCode {
    let unseen = plan(&compare.common, seed, scenarios.clone());
    let binaries = match check(&unseen, &compare.common) {
        Ok(binaries) => binaries,
        Err(code) => return code,
    };
    let keys: Vec<String> = scenarios
        .iter()
        .map(|planned| noise::key(planned, &binaries))
        .collect();
    if !compare.fresh_noise {
        for (planned, key) in scenarios.iter_mut().zip(&keys) {
            noise::recall(planned, key);
        }
    }
    let mut plan = plan(&compare.common, seed, scenarios);
    plan.design = Some(Design {
        kind: if earlier.is_some() {
            Kind::History
        } else {
            Kind::Pairs
        },
        baseline: match (&earlier, &sides.baseline) {
            (Some(earlier), _) => earlier.subject.clone(),
            (None, Some(baseline)) => baseline.to_string(),
            (None, None) => String::new(),
        },
        candidates: vec![sides.candidate.to_string()],
        pairs: compare.pairs,
        spare_pairs: compare.pairs,
        history: earlier.map(|earlier| earlier.history),
    });
    carry_out(
        &plan,
        binaries,
        &compare.common,
        "compare",
        |run, directory| {
            for (scenario, key) in run.scenarios.iter().zip(&keys) {
                noise::remember(scenario, run, key);
            }
            match &compare.save {
                // What cannot be compared with later must not replace what can.
                Some(path) if history::is_complete(run) => {
                    output::copy(&directory.join("run.json"), path)
                }
                _ => Ok(()),
            }
        },
    )
}

/// What the loads of a scenario are made of.
fn kind_of(scenario: &Scenario) -> metrics::LoadKind {
    if scenario.proxy.mode == Mode::Statsd {
        metrics::LoadKind::Lines
    } else if scenario.load.iter().all(|load| load.bulk.is_some()) {
        metrics::LoadKind::Bulk
    } else {
        metrics::LoadKind::Messages
    }
}

/// The directory that a file is to be in, if there is none.
fn missing_directory(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir())
}

fn is_run_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json")
}

type Sources = Vec<(Scenario, String)>;

/// What is compared in what, or what is wrong with that.
fn sides_and_scenarios(
    compare: &Compare,
    earlier: Option<&Earlier>,
) -> Result<(Sides, Sources), String> {
    let candidate = compare.candidate.clone();
    if let Some(earlier) = earlier {
        let scenarios = history::scenarios(earlier, &compare.scenarios)?;
        let then = earlier.subject.parse().ok();
        let sides = Sides::new(then, candidate)?;
        let baseline = None;
        return Ok((Sides { baseline, ..sides }, scenarios));
    }
    let baseline = compare.baseline.parse().map_err(|error| {
        format!("--baseline: {error}, or the run file of an earlier run (RUN.json)")
    })?;
    let sides = Sides::new(Some(baseline), candidate)?;
    let names = if compare.scenarios.is_empty() {
        &["latency".to_owned()]
    } else {
        compare.scenarios.as_slice()
    };
    Ok((sides, sources(names)?))
}
