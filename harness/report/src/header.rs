//! What is known before anything starts: of a run, of the machine and the programs, of a
//! scenario.

use serde::{Deserialize, Serialize};

use crate::capacity::CapacityPlan;
use crate::compare::design::Design;
use crate::expect::Expectation;
use crate::text::number;

/// What is known of a run before it starts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// Its name, which is its directory's name too.
    pub id: String,
    /// The harness's own arguments.
    pub command: Vec<String>,
    /// The harness's version.
    pub version: String,
    /// All randomness of the run comes from here.
    pub seed: u64,
    /// Whether `inconclusive` is only a warning.
    pub lenient: bool,
    /// Wall-clock time.
    pub started_unix_ms: u64,
    /// The suite that its scenarios are, if that is what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// The machine.
    pub host: Host,
    /// The programs that take part.
    pub binaries: Vec<Binary>,
    /// What it sets out to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub design: Option<Design>,
}

/// The machine of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Model of its processor.
    pub cpu: String,
    /// Processors that the run may use.
    pub cores: usize,
    /// Kernel and its release.
    pub kernel: String,
    /// Memory.
    pub memory_bytes: u64,
    /// A hash of the machine's own number, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

/// How much the memory of a machine may differ from itself: what the kernel reserves at
/// its start is not always the same.
const MEMORY_SHARE: f64 = 0.05;

impl Host {
    /// What differs between this machine and that of now, as far as figures depend on it.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut differing = Vec::new();
        let mut compare = |what: &str, then: String, now: String| {
            if then != now {
                differing.push(format!("{what} {then} then, {now} now"));
            }
        };
        compare("processor", self.cpu.clone(), now.cpu.clone());
        compare("cores", self.cores.to_string(), now.cores.to_string());
        compare("kernel", self.kernel.clone(), now.kernel.clone());
        let machine = |host: &Self| host.machine.clone().unwrap_or_else(|| "unknown".to_owned());
        compare("machine", machine(self), machine(now));
        let [was, is] = [self, now].map(|host| host.memory_bytes);
        if was.abs_diff(is) as f64 > MEMORY_SHARE * is as f64 {
            compare("memory", number::bytes(was), number::bytes(is));
        }
        differing
    }
}

/// A program that takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// What it is in the run: `harness`, or a proxy's descriptor.
    pub role: String,
    /// Its file.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// XXH3-128 of its content, in hex.
    pub xxh3_128: String,
    /// The full hash of the commit that it was built from, if it was named by a revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// What is known of a scenario before it starts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScenarioHeader {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub description: String,
    /// `built in`, `command line`, or its file.
    pub source: String,
    /// Its randomness, drawn from the run's seed.
    pub seed: u64,
    /// The scenario as it was read, defaults filled in.
    pub config: serde_json::Value,
    /// What is under test, the one that is judged first.
    pub subjects: Vec<String>,
    /// What it must show.
    pub expectations: Vec<Expectation>,
    /// Whether its blocks are compared with one another, and not judged by themselves.
    #[serde(default)]
    pub compared: bool,
    /// The search for the highest rate that it is part of.
    // A scenario of a run file has what came of it under the plain name, beside this.
    #[serde(
        rename = "capacity_plan",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub capacity: Option<CapacityPlan>,
}
