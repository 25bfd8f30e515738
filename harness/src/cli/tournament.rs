//! `harness tournament`.

use std::process::ExitCode;

use clap::Args;
use report::compare::design::{Design, Kind};
use report::figures::DIRECT;

use super::run::{apply, plan, sources};
use super::{Common, check_and_carry_out, descriptor, usage};
use crate::comparison::{Sides, is_timed, take_apart};
use crate::descriptor::Descriptor;
use crate::host;
use crate::plan::Planned;
use crate::scenario::Scenario;
use crate::schedule::{Schedule, rounds};

/// What a tournament is held over, unless it is told otherwise.
const SUITES: [&str; 4] = ["latency", "busy", "churn", "crash-shield"];

/// Let any number of proxies compete over every suite: one table, one page
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Tournament {
    /// The proxies: builtin, a path, git:REV, haproxy, nginx, envoy or cmd:…; the others are
    /// compared with the first
    #[arg(value_name = "P", required = true, num_args = 2.., value_parser = descriptor)]
    proxies: Vec<Descriptor>,

    /// Hold it over this scenario, built in or a file; may be given several times
    /// [default: latency, busy, churn, crash-shield]
    #[arg(long = "suite", value_name = "NAME|FILE.toml")]
    suites: Vec<String>,

    /// Measure everything this many times, each with fresh processes
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=200))]
    rounds: u32,

    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
In each round of a suite every proxy, and going direct, has its turn with fresh processes;
the order is left to chance. Suites with garbage are run once: they show who survives.
Verdicts beside the first proxy are reached as in \"harness compare\", but without knowing how
much a proxy differs from itself here, and are no reason to fail: the exit code is 0 if all
suites could be run. For a close call between two use \"harness compare\".

Examples:
  harness tournament builtin haproxy nginx envoy
  harness tournament git:HEAD git:HEAD~5 ./experiment --suite latency --rounds 12";

pub(super) fn execute(tournament: &Tournament) -> ExitCode {
    let seed = tournament.common.seed.unwrap_or_else(host::random_seed);
    let suites = if tournament.suites.is_empty() {
        SUITES.map(str::to_owned).to_vec()
    } else {
        tournament.suites.clone()
    };
    let scenarios = match scenarios(tournament, &suites, seed) {
        Ok(scenarios) => scenarios,
        Err(message) => return usage(&message),
    };
    let names = |proxies: &[Descriptor]| proxies.iter().map(Descriptor::to_string).collect();
    let mut plan = plan(&tournament.common, seed, scenarios);
    plan.design = Some(Design {
        kind: Kind::Tournament,
        baseline: tournament.proxies[0].to_string(),
        candidates: names(&tournament.proxies[1..]),
        pairs: tournament.rounds,
        spare_pairs: 0,
        history: None,
    });
    check_and_carry_out(&plan, &tournament.common, "tournament")
}

fn scenarios(
    tournament: &Tournament,
    suites: &[String],
    seed: u64,
) -> Result<Vec<Planned>, String> {
    for (at, proxy) in tournament.proxies.iter().enumerate() {
        if tournament.proxies[..at].contains(proxy) {
            return Err(format!(
                "{proxy} is named twice: to compare a proxy with itself use \"harness compare\""
            ));
        }
        Sides::new(Some(tournament.proxies[0].clone()), proxy.clone())?;
    }
    sources(suites)?
        .into_iter()
        .map(|(mut scenario, source)| {
            take_apart(&mut scenario)?;
            enter(tournament, &mut scenario);
            let planned = Planned::new(scenario, source, seed);
            let mut planned = planned.map_err(|error| error.to_string())?;
            planned.compared = true;
            let rounds = rounds::shuffled(planned.scenario.rounds, &planned.subjects, planned.seed);
            planned.schedule = Schedule::Rounds(rounds);
            Ok(planned)
        })
        .collect()
}

/// Puts all proxies into a scenario.
fn enter(tournament: &Tournament, scenario: &mut Scenario) {
    apply(&tournament.common, scenario);
    let mut names = tournament.proxies.iter().map(Descriptor::to_string);
    scenario.proxy.descriptor = names.next().unwrap_or_default();
    scenario.proxy.against = names.collect();
    if is_timed(scenario) {
        scenario.proxy.against.push(DIRECT.to_owned());
        scenario.rounds = tournament.rounds;
    } else {
        scenario.rounds = 1;
    }
}
