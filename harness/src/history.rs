//! An earlier run in the place of a baseline.

use std::path::Path;

use report::compare::blocks;
use report::compare::design::{History, HistoryScenario};
use report::event::Host;
use report::run::RunFile;

use crate::comparison::take_apart;
use crate::host;
use crate::scenario::Scenario;

/// How much the memory of a machine may differ from itself: what the kernel reserves at
/// its start is not always the same.
const MEMORY_SHARE: f64 = 0.05;

/// What an earlier run holds.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The descriptor of what was measured.
    pub subject: String,
    /// Its figures.
    pub history: History,
    /// The scenarios, as they were run.
    scenarios: Vec<Scenario>,
}

/// Reads the run file of an earlier run.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn read(path: &Path, allow_other_host: bool) -> Result<Earlier, String> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let run = RunFile::read(&text).map_err(|error| format!("{shown}: {error}"))?;
    if let Some(difference) = difference(&run.header.host, &host::describe())
        && !allow_other_host
    {
        return Err(format!(
            "{shown} was measured on another machine ({difference}); figures of two machines say \
             nothing about two versions: measure both here, or give --allow-other-host"
        ));
    }
    earlier(&run).map_err(|reason| format!("{shown}: {reason}"))
}

fn earlier(run: &RunFile) -> Result<Earlier, String> {
    if run.interrupted.is_some() || !run.failures.is_empty() {
        return Err("the run was cut short: expected a complete one".to_owned());
    }
    let subject = subject(run).ok_or("there is nothing in it to compare with")?;
    let mut history = History {
        run: run.header.id.clone(),
        started_unix_ms: run.header.started_unix_ms,
        host: run.header.host.clone(),
        scenarios: Vec::new(),
    };
    let mut scenarios = Vec::new();
    for recorded in run.scenarios.iter().filter(|scenario| scenario.complete) {
        let mut scenario: Scenario = serde_json::from_value(recorded.header.config.clone())
            .map_err(|error| format!("scenario {:?}: {error}", recorded.header.name))?;
        if take_apart(&mut scenario).is_err() {
            continue;
        }
        let own = || {
            let blocks = recorded.blocks.iter();
            blocks.filter(|block| block.subject == subject)
        };
        history.scenarios.push(HistoryScenario {
            name: recorded.header.name.clone(),
            blocks: own()
                .filter(|block| blocks::is_valid(block))
                .map(blocks::figures_of_side)
                .collect(),
            anchors: blocks::anchors(recorded),
            conduct: blocks::conduct(own()),
        });
        scenarios.push(scenario);
    }
    if scenarios.is_empty() {
        return Err("there is nothing in it to compare with".to_owned());
    }
    Ok(Earlier {
        subject,
        history,
        scenarios,
    })
}

/// What is now the baseline: the candidate of a comparison, or what a plain run judged.
fn subject(run: &RunFile) -> Option<String> {
    match &run.header.design {
        Some(design) => design.candidates.first().cloned(),
        None => run
            .scenarios
            .first()
            .map(|scenario| scenario.subject().to_owned()),
    }
}

/// The scenarios to run again: all that the earlier run holds, or those of these names.
///
/// # Errors
/// That one of them is not in it.
pub fn scenarios(earlier: &Earlier, names: &[String]) -> Result<Vec<(Scenario, String)>, String> {
    let source = || format!("run {}", earlier.history.run);
    let all = || earlier.scenarios.iter();
    if let Some(missing) = names
        .iter()
        .find(|name| all().all(|scenario| scenario.name != **name))
    {
        let known: Vec<&str> = all().map(|scenario| scenario.name.as_str()).collect();
        return Err(format!(
            "--scenario {missing}: run {} holds {}, as it was run then, and nothing else",
            earlier.history.run,
            known.join(", ")
        ));
    }
    Ok(all()
        .filter(|scenario| names.is_empty() || names.contains(&scenario.name))
        .map(|scenario| (scenario.clone(), source()))
        .collect())
}

/// How two machines differ, as far as figures depend on it.
fn difference(then: &Host, now: &Host) -> Option<String> {
    let memory = (then.memory_bytes as f64 / now.memory_bytes.max(1) as f64 - 1.0).abs();
    if then.cpu != now.cpu {
        Some(format!("{} then, {} now", then.cpu, now.cpu))
    } else if then.cores != now.cores {
        Some(format!("{} cores then, {} now", then.cores, now.cores))
    } else if memory > MEMORY_SHARE {
        Some("its memory was of another size".to_owned())
    } else if then.machine != now.machine {
        Some("the machine's own number is another".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_apart() {
        let here = host::describe();
        assert_eq!(difference(&here, &here), None);
        for spoil in [
            (|host: &mut Host| host.cores += 1) as fn(&mut Host),
            |host| host.cpu.push('x'),
            |host| host.memory_bytes *= 2,
            |host| host.machine = Some("other".to_owned()),
        ] {
            let mut other = here.clone();
            spoil(&mut other);
            assert!(difference(&other, &here).is_some(), "{other:?}");
        }
        let kernel = Host {
            kernel: "newer".to_owned(),
            ..here.clone()
        };
        assert_eq!(difference(&kernel, &here), None, "the report shows it");
    }
}
