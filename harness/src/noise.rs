//! What a baseline was seen to differ from itself, kept for a day: pairs of one proxy with
//! itself cost as much time as those of a comparison, and say the same all day.

use std::fs;
use std::path::{Path, PathBuf};

use report::compare::blocks;
use report::compare::design::Noise;
use report::event::Binary;
use report::run::{RunFile, ScenarioRun};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::plan::Planned;
use crate::schedule::Schedule;
use crate::{host, output};

/// Where it is kept.
const DIRECTORY: &str = ".harness/noise";

/// How long it is believed.
const VALID_MS: u64 = 24 * 60 * 60 * 1_000;

/// A file of it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// All that it depends on, in full: two keys may not meet unnoticed.
    depends_on: String,
    #[serde(flatten)]
    noise: Noise,
}

/// All that the noise of a scenario's baseline depends on: machine, programs, load.
#[must_use]
pub fn key(planned: &Planned, binaries: &[Binary]) -> String {
    let Schedule::Pairs(pairs) = &planned.schedule else {
        return String::new();
    };
    let baseline = pairs.baseline.as_ref().map(ToString::to_string);
    let mut scenario = planned.scenario.clone();
    // What stands on the other side changes nothing.
    scenario.proxy.descriptor = baseline.clone().unwrap_or_default();
    scenario.proxy.against.clear();
    let hashes: Vec<&str> = binaries
        .iter()
        .filter(|binary| binary.role == "harness" || Some(&binary.role) == baseline.as_ref())
        .map(|binary| binary.xxh3_128.as_str())
        .collect();
    let all = (host::describe(), hashes, pairs.pairs, scenario);
    serde_json::to_string(&all).unwrap_or_default()
}

/// Takes what is known of the noise into the plan, in the place of measuring it.
pub fn recall(planned: &mut Planned, key: &str) {
    let Some(kept) = read(&path(key)) else {
        return;
    };
    let age_ms = host::unix_ms().saturating_sub(kept.noise.measured_unix_ms);
    if kept.depends_on != key || age_ms > VALID_MS {
        return;
    }
    if let Schedule::Pairs(pairs) = &mut planned.schedule {
        pairs.noise_pairs = 0;
        planned.noise = Some(kept.noise);
    }
}

/// Keeps the noise that a run measured, if it measured enough of it. That it cannot be
/// kept costs time the next time, and nothing else.
pub fn remember(scenario: &ScenarioRun, run: &RunFile, key: &str) {
    let pairs = blocks::noise_pairs(scenario);
    let wanted = run.header.design.as_ref().map_or(0, |design| design.pairs);
    if scenario.noise.is_some() || !scenario.complete || (pairs.len() as u32) < wanted.min(8) {
        return;
    }
    let kept = Kept {
        depends_on: key.to_owned(),
        noise: Noise {
            run: run.header.id.clone(),
            measured_unix_ms: run.header.started_unix_ms,
            pairs,
        },
    };
    let path = path(key);
    let _ = fs::create_dir_all(DIRECTORY)
        .and_then(|()| Ok(serde_json::to_vec(&kept)?))
        .and_then(|json| output::whole(&path, &json));
}

fn path(key: &str) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{:032x}.json", xxh3_128(key.as_bytes())))
}

fn read(path: &Path) -> Option<Kept> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
