//! A merge in a process of its own, so that its memory is its own.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use loadgen::record::LoadRecord;
use serde::{Deserialize, Serialize};

/// The first word of the arguments of that process.
pub(crate) const COMMAND: &str = "merge-and-tell";

/// Where it leaves what it found, beside the shards.
const FOUND: &str = "merged.json";

/// What it found.
#[derive(Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) seconds: f64,
    /// The most memory that the process had, as the kernel tells (VmHWM).
    pub(crate) peak_kib: u64,
    pub(crate) record: LoadRecord,
}

/// Merges the shards in a directory and measures it.
pub(crate) fn measure(directory: &Path) -> Result<Seen, Box<dyn Error>> {
    let status = Command::new(std::env::current_exe()?)
        .arg(COMMAND)
        .arg(directory)
        .status()?;
    if !status.success() {
        return Err(format!("the merge ended with {status}").into());
    }
    Ok(serde_json::from_slice(&fs::read(directory.join(FOUND))?)?)
}

/// What that process does.
pub(crate) fn merge(args: &[OsString]) -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(args.first().ok_or("expected a directory")?);
    let begun = Instant::now();
    let record = shards::merge(&shards::find(std::slice::from_ref(&directory))?)?;
    let seen = Seen {
        seconds: begun.elapsed().as_secs_f64(),
        peak_kib: peak_kib()?,
        record,
    };
    fs::write(directory.join(FOUND), serde_json::to_vec(&seen)?)?;
    Ok(())
}

fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(number.ok_or("the kernel tells no VmHWM")?.parse()?)
}
