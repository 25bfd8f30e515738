//! From a plan to a run file: scenario by scenario, block by block.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use report::event::{Binary, Event, RunHeader, ScenarioHeader};
use report::fold::Gathered;
use report::run::{RunFile, ScenarioRun};
use service::signals::{Stop, StopSignals};

use crate::block::{self, Cut, Shared};
use crate::descriptor::Descriptor;
use crate::plan::{Plan, Planned};
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::supervisor::guard::Guard;
use crate::{host, output, supervisor};

/// What a run needs besides its plan.
#[derive(Debug)]
pub struct Settings {
    /// Where its files go; a directory of its own below `.harness/runs` if none is
    /// given.
    pub out: Option<PathBuf>,
    /// What the run's directory is called after its time.
    pub label: String,
    /// Whether `inconclusive` is only a warning.
    pub lenient: bool,
    /// Whether nothing is shown while it runs.
    pub quiet: bool,
}

/// Runs a plan and leaves its files behind. Must be called on the main thread: children
/// end with the thread that starts them.
///
/// # Errors
/// That the harness cannot work at all: no runtime, no directory to write to.
pub fn run(
    plan: &Plan,
    binaries: Vec<Binary>,
    settings: &Settings,
) -> io::Result<(RunFile, PathBuf)> {
    let started_unix_ms = service::clock::unix_ms();
    let (id, directory) =
        output::directory(settings.out.as_deref(), &settings.label, started_unix_ms)?;
    let header = RunHeader {
        id,
        command: std::env::args().collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: plan.seed,
        lenient: settings.lenient,
        started_unix_ms,
        host: host::describe(),
        binaries: binaries.clone(),
        design: plan.design.clone(),
        suite: plan.suite.clone(),
    };
    let progress = Progress::new(plan.block_count(), settings.quiet);
    let recorder = RefCell::new(Recorder::open(&directory, progress)?);
    recorder.borrow_mut().take(Event::RunStarted(header));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(scenarios(plan, &binaries, &recorder, &directory));
    // Readers of pipes that somebody still holds must not keep us.
    runtime.shutdown_background();
    let mut recorder = recorder.into_inner();
    // What has been seen so far is written whatever happens.
    if let Err(error) = outcome {
        recorder.take(Event::HarnessFailed {
            message: error.to_string(),
        });
    }
    if let Some(error) = recorder.failure() {
        recorder.take(Event::HarnessFailed {
            message: format!("events.jsonl: {error}"),
        });
    }
    recorder.take(Event::RunEnded);
    recorder.finish_progress();
    let run = RunFile::from_events(recorder.events());
    output::write(&run, &directory)?;
    Ok((run, directory))
}

async fn scenarios(
    plan: &Plan,
    binaries: &[Binary],
    recorder: &RefCell<Recorder>,
    directory: &Path,
) -> io::Result<()> {
    // Before the first child, so that Ctrl-C cannot leave one behind.
    let mut stop = StopSignals::listen()?;
    // A name of its own: the directory may be the user's, with anything in it.
    let scratch = tempfile::Builder::new()
        .prefix(".scratch-")
        .tempdir_in(directory)?;
    // A proxy that is upgraded leaves its successor to us.
    supervisor::orphan::adopt()?;
    let guard = RefCell::new(Guard::start()?);
    let shared = Shared {
        plan,
        binaries,
        recorder,
        guard: &guard,
        scratch: scratch.path().to_owned(),
    };
    for planned in &plan.scenarios {
        let end = scenario(&shared, planned, &mut stop).await;
        if let Some(End::Broken) = end {
            break;
        }
        if let Some(End::Stopped(stop)) = end {
            let signal = match stop {
                Stop::Terminate => "SIGTERM",
                Stop::Interrupt => "SIGINT",
            };
            let interrupted = Event::Interrupted {
                signal: signal.to_owned(),
                exit_code: stop.exit_code(),
            };
            recorder.borrow_mut().take(interrupted);
            break;
        }
    }
    // It is removed when it goes out of scope; that this fails spoils no run.
    Ok(())
}

/// Why no further scenario is run.
enum End {
    /// Somebody ended the run.
    Stopped(Stop),
    /// Something happened that must not in a scenario that is watched.
    Broken,
}

/// Runs one scenario; tells what ended the run, if something did.
async fn scenario(shared: &Shared<'_>, planned: &Planned, stop: &mut StopSignals) -> Option<End> {
    let emit = |event| shared.recorder.borrow_mut().take(event);
    let scenario = &planned.scenario;
    emit(Event::ScenarioStarted(ScenarioHeader {
        name: scenario.name.clone(),
        description: scenario.description.clone(),
        source: planned.source.clone(),
        seed: planned.seed,
        config: serde_json::to_value(scenario).unwrap_or_default(),
        subjects: planned.subjects.iter().map(Descriptor::to_string).collect(),
        expectations: scenario.expectations.clone(),
        compared: planned.compared,
        capacity: planned.schedule.capacity().cloned(),
    }));
    if let Some(noise) = &planned.noise {
        emit(Event::NoiseKnown(noise.clone()));
    }
    match blocks(shared, planned, stop).await {
        Ok(()) => {
            emit(Event::ScenarioEnded { problem: None });
            None
        }
        Err(Cut::Broken) => {
            emit(Event::ScenarioEnded { problem: None });
            Some(End::Broken)
        }
        Err(Cut::Problem(problem)) => {
            emit(Event::ScenarioEnded {
                problem: Some(problem),
            });
            None
        }
        // What was cut short has no end.
        Err(Cut::Stopped(stop)) => Some(End::Stopped(stop)),
    }
}

/// Runs block after block, as long as the scenario's schedule knows one more.
async fn blocks(shared: &Shared<'_>, planned: &Planned, stop: &mut StopSignals) -> Result<(), Cut> {
    let (mut gathered, mut taken) = (Gathered::default(), 0);
    loop {
        let next = {
            let recorder = shared.recorder.borrow();
            for stamped in &recorder.events()[taken..] {
                gathered.take(stamped);
                taken += 1;
            }
            let nothing = ScenarioRun::default();
            planned
                .schedule
                .next(gathered.scenario().unwrap_or(&nothing))
        };
        let Some(block) = next.map_err(Cut::Problem)? else {
            return Ok(());
        };
        block::run(shared, planned, &block, stop).await?;
    }
}
