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

use crate::descriptor::Descriptor;
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

impl Kept {
    fn is_good_for(&self, key: &str, now_unix_ms: u64) -> bool {
        // A clock that was set back makes it no better.
        let age_ms = now_unix_ms.checked_sub(self.noise.measured_unix_ms);
        self.depends_on == key && age_ms.is_some_and(|age_ms| age_ms <= VALID_MS)
    }
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
    let files = match &pairs.baseline {
        Some(Descriptor::Command(command)) => named_files(command),
        _ => Vec::new(),
    };
    let all = (host::describe(), hashes, files, pairs.pairs, scenario);
    serde_json::to_string(&all).unwrap_or_default()
}

/// Hashes of the files that a command line names beside its program: a script, a
/// configuration, the program behind a wrapper.
fn named_files(command: &str) -> Vec<u128> {
    let words = command.split_whitespace().skip(1);
    let contents = words.filter_map(|word| fs::read(word).ok());
    contents.map(|content| xxh3_128(&content)).collect()
}

/// Takes what is known of the noise into the plan, in the place of measuring it.
pub fn recall(planned: &mut Planned, key: &str) {
    let Some(kept) = read(&path(key)) else {
        return;
    };
    if !kept.is_good_for(key, service::clock::unix_ms()) {
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
    if scenario.noise.is_some() || !scenario.complete || (pairs.len() as u32) < wanted / 2 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::{self, Sides};
    use crate::scenario::builtin;

    fn planned(candidate: &str, pairs: u32) -> Planned {
        let sides = Sides::new(Some("nginx".parse().unwrap()), candidate.parse().unwrap());
        let scenario = builtin::named("latency").unwrap();
        let source = "built in".to_owned();
        comparison::planned(scenario, source, &sides.unwrap(), pairs, false, 1).unwrap()
    }

    fn binary(role: &str, content: &str) -> Binary {
        Binary {
            role: role.to_owned(),
            xxh3_128: content.to_owned(),
            ..Binary::default()
        }
    }

    #[test]
    fn it_depends_on_the_baseline_and_the_load_and_not_on_the_candidate() {
        let binaries = [binary("nginx", "1"), binary("haproxy", "2")];
        let known = key(&planned("haproxy", 10), &binaries);
        assert_eq!(known, key(&planned("./proxy", 10), &binaries));
        let other = [binary("nginx", "3"), binary("haproxy", "2")];
        assert_ne!(known, key(&planned("haproxy", 10), &other));
        assert_ne!(known, key(&planned("haproxy", 11), &binaries));
        let mut longer = planned("haproxy", 10);
        longer.scenario.load[0].duration *= 2;
        assert_ne!(known, key(&longer, &binaries));
        let file = tempfile::NamedTempFile::new().unwrap();
        let command = format!("sh {} {{listen}} {{forward}}", file.path().display());
        fs::write(file.path(), "one").unwrap();
        let before = named_files(&command);
        fs::write(file.path(), "two").unwrap();
        assert_ne!(before, named_files(&command));
    }

    #[test]
    fn it_is_believed_for_a_day() {
        let kept = Kept {
            depends_on: "all".to_owned(),
            noise: Noise {
                measured_unix_ms: VALID_MS,
                ..Noise::default()
            },
        };
        assert!(kept.is_good_for("all", VALID_MS) && kept.is_good_for("all", 2 * VALID_MS));
        assert!(!kept.is_good_for("all", 2 * VALID_MS + 1), "too old");
        assert!(!kept.is_good_for("all", VALID_MS - 1), "of the future");
        assert!(!kept.is_good_for("other", VALID_MS));
    }
}
