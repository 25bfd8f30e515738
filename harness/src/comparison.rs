//! How a comparison is run: who may be compared with whom, and in what order.

use std::time::Duration;

use crate::descriptor::Descriptor;
use crate::plan::Planned;
use crate::ports::Ports;
use crate::scenario::Scenario;
use crate::schedule::Schedule;
use crate::schedule::pairs::Pairs;

/// Pairs in scenarios that show who survives: what dies of garbage dies of it in both of its
/// blocks.
const PAIRS_WITHOUT_FIGURES: u32 = 1;

/// How long the tool's own floor is measured before each block at most: there are many
/// blocks, and it is the same in all of them.
const MOST_FLOOR: Duration = Duration::from_millis(100);

/// The two sides of a comparison.
#[derive(Clone, Debug)]
pub struct Sides {
    /// What the candidate is compared with; none if its figures are of an earlier run.
    pub baseline: Option<Descriptor>,
    /// What is compared.
    pub candidate: Descriptor,
}

impl Sides {
    /// Two sides that can be compared with one another.
    ///
    /// # Errors
    /// That one of them cannot be started freshly for each block, or that they are not
    /// the same kind of program.
    pub fn new(baseline: Option<Descriptor>, candidate: Descriptor) -> Result<Self, String> {
        let all = || baseline.iter().chain(std::iter::once(&candidate));
        if let Some(running) = all().find(|side| matches!(side, Descriptor::Running(_))) {
            return Err(format!(
                "{running} runs already, and a comparison starts fresh processes for every block: \
                 expected a path, git:REV, direct, haproxy, nginx, envoy or cmd:…"
            ));
        }
        let has = |is: fn(&Descriptor) -> bool| all().any(is);
        if has(|side| matches!(side, Descriptor::Builtin(_))) && has(Descriptor::is_build_of_ours) {
            return Err(
                "builtin is a part of the harness, and not the same kind of program as a proxy \
                 binary: compare with git:HEAD, or with the path of a binary, instead"
                    .to_owned(),
            );
        }
        Ok(Self {
            baseline,
            candidate,
        })
    }
}

/// Whether a scenario has figures to compare. One that kills somebody shows who survives.
#[must_use]
pub fn is_timed(scenario: &Scenario) -> bool {
    let is_sound = |upstream: &crate::scenario::Upstream| upstream.defects.is_empty();
    scenario.fuzz.is_empty()
        && scenario.fault.is_empty()
        && scenario.upstream.iter().all(is_sound)
        && !scenario.load.is_empty()
}

/// Plans the comparison within one scenario.
///
/// # Errors
/// That the scenario has a proxy of its own, or cannot be carried out.
pub fn planned(
    mut scenario: Scenario,
    source: String,
    sides: &Sides,
    pairs: u32,
    anchors: bool,
    run_seed: u64,
) -> Result<Planned, String> {
    take_apart(&mut scenario)?;
    for load in &mut scenario.load {
        load.floor = load.floor.min(MOST_FLOOR);
    }
    scenario.proxy.descriptor = sides.candidate.to_string();
    scenario.proxy.against = sides.baseline.iter().map(ToString::to_string).collect();
    let is_timed = is_timed(&scenario);
    let mut planned =
        Planned::new(scenario, source, run_seed).map_err(|error| error.to_string())?;
    let count = planned.scenario.upstream.len().max(1);
    let ports = Ports::choose(planned.seed, count).map_err(|error| error.to_string())?;
    planned.ports = Some(ports);
    planned.compared = true;
    let pairs = if is_timed {
        pairs
    } else {
        PAIRS_WITHOUT_FIGURES
    };
    planned.schedule = Schedule::Pairs(Pairs {
        baseline: sides.baseline.clone(),
        candidate: sides.candidate.clone(),
        pairs,
        spares: if is_timed { pairs } else { 0 },
        noise_pairs: if is_timed { pairs } else { 0 },
        anchors: is_timed && anchors,
        seed: planned.seed,
    });
    Ok(planned)
}

/// Makes room for other proxies than the scenario's own. What it expects of that one is no
/// measure for others.
///
/// # Errors
/// That it is about its own proxy.
pub fn take_apart(scenario: &mut Scenario) -> Result<(), String> {
    if scenario.proxy.fixed {
        return Err(format!(
            "scenario {:?} is about a proxy of its own: expected one that takes any, such as \
             latency, busy, churn or crash-shield",
            scenario.name
        ));
    }
    scenario.expect.clear();
    scenario.expectations.clear();
    scenario.proxy.args.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::builtin;

    fn sides(baseline: &str, candidate: &str) -> Result<Sides, String> {
        Sides::new(Some(baseline.parse().unwrap()), candidate.parse().unwrap())
    }

    #[test]
    fn only_what_can_be_compared_is() {
        for (baseline, candidate) in [
            ("./a", "./b"),
            ("haproxy", "builtin"),
            ("builtin", "builtin"),
            ("direct", "nginx"),
        ] {
            assert!(sides(baseline, candidate).is_ok(), "{baseline} {candidate}");
        }
        for (baseline, candidate, says) in [
            ("builtin", "./b", "part of the harness"),
            ("./b", "builtin", "part of the harness"),
            ("addr:127.0.0.1:80", "nginx", "runs already"),
        ] {
            let error = sides(baseline, candidate).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_scenario_about_its_own_proxy_is_refused() {
        let sides = sides("nginx", "haproxy").unwrap();
        let plan = |name: &str| {
            planned(
                builtin::named(name).unwrap(),
                "built in".into(),
                &sides,
                10,
                false,
                1,
            )
        };
        assert!(plan("crash-direct").unwrap_err().contains("crash-direct"));
        let crash = plan("crash-shield").unwrap();
        assert_eq!(crash.schedule.expected(), 4);
        let latency = plan("latency").unwrap();
        assert_eq!(latency.schedule.expected(), 80);
        assert!(latency.scenario.expectations.is_empty() && latency.ports.is_some());
    }
}
