//! An earlier run in the place of a baseline.

use std::path::Path;

use report::compare::blocks;
use report::compare::design::{Design, History, HistoryScenario, Kind};
use report::evidence::Block;
use report::figures::DIRECT;
use report::run::{RunFile, ScenarioRun};

use crate::comparison::take_apart;
use crate::host;
use crate::scenario::Scenario;

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
    let differing = run.header.host.differences(&host::describe());
    // A new kernel is a new state of the same machine: the report shows it.
    let differing: Vec<String> = differing
        .into_iter()
        .filter(|differing| !differing.starts_with("kernel "))
        .collect();
    if !differing.is_empty() && !allow_other_host {
        return Err(format!(
            "{shown} was measured on another machine ({}); figures of two machines say nothing \
             about two versions: measure both here, or give --allow-other-host",
            differing.join("; ")
        ));
    }
    earlier(&run).map_err(|reason| format!("{shown}: {reason}"))
}

fn earlier(run: &RunFile) -> Result<Earlier, String> {
    if !is_complete(run) {
        return Err("the run was cut short: expected a complete one".to_owned());
    }
    let design = run.header.design.as_ref();
    if design.is_some_and(|design| design.kind == Kind::Tournament) {
        return Err(
            "is of a tournament, which has many subjects: expected a comparison or a plain run"
                .to_owned(),
        );
    }
    let nothing = "there is nothing in it to compare with";
    let subject = subject(run).ok_or(nothing)?;
    let mut history = History {
        run: run.header.id.clone(),
        started_unix_ms: run.header.started_unix_ms,
        host: run.header.host.clone(),
        scenarios: Vec::new(),
    };
    let mut scenarios = Vec::new();
    for recorded in &run.scenarios {
        let mut scenario: Scenario = serde_json::from_value(recorded.header.config.clone())
            .map_err(|error| format!("scenario {:?}: {error}", recorded.header.name))?;
        if take_apart(&mut scenario).is_err() || recorded.header.capacity.is_some() {
            continue;
        }
        history
            .scenarios
            .push(blocks_of(recorded, design, &subject));
        scenarios.push(scenario);
    }
    if scenarios.is_empty() {
        return Err(nothing.to_owned());
    }
    Ok(Earlier {
        subject,
        history,
        scenarios,
    })
}

/// Whether a run came to its planned end, so that it can be compared with.
#[must_use]
pub fn is_complete(run: &RunFile) -> bool {
    run.interrupted.is_none()
        && run.failures.is_empty()
        && run.scenarios.iter().all(|scenario| scenario.complete)
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

/// Its blocks in one scenario, and those of going direct beside them.
fn blocks_of(recorded: &ScenarioRun, design: Option<&Design>, subject: &str) -> HistoryScenario {
    let own = || -> Vec<&Block> {
        match design {
            Some(design) => blocks::of_candidate(recorded, design, subject).collect(),
            None => recorded.judged().collect(),
        }
    };
    let anchors = match design {
        Some(_) => blocks::anchors(recorded),
        None => recorded
            .beside()
            .filter(|block| block.subject == DIRECT && blocks::is_valid(block))
            .map(blocks::figures)
            .collect(),
    };
    HistoryScenario {
        name: recorded.header.name.clone(),
        blocks: own()
            .into_iter()
            .filter(|block| blocks::is_valid(block))
            .map(blocks::figures_of_side)
            .collect(),
        anchors,
        conduct: blocks::conduct(own()),
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
