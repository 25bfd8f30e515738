//! Slurm, through its commands: they are what every version has, and need no library.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use crate::installed;

/// How long one of the commands may take: a controller that is down costs `squeue` about
/// 20 s before it says so.
const PATIENCE: Duration = Duration::from_secs(60);

/// What separates the fields that `squeue` is asked for.
const SEPARATOR: char = '|';

/// The commands.
#[derive(Clone, Debug)]
pub struct Slurm {
    sbatch: PathBuf,
    squeue: PathBuf,
    scancel: PathBuf,
}

/// What Slurm says of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobState {
    /// Such as `PENDING`, `RUNNING` or `COMPLETED`.
    pub word: String,
    /// Why it is in that state, such as `Resources`; `None` where there is no reason.
    pub reason: String,
    /// The nodes that it was given.
    pub nodes: String,
}

/// States from which no job comes back. `squeue` knows such a job for some minutes.
const ENDED: [&str; 9] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
];

impl JobState {
    /// Whether nothing of it runs any more, or will.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        ENDED.contains(&self.word.as_str())
    }

    /// As it is told.
    #[must_use]
    pub fn told(&self) -> String {
        let word = self.word.to_lowercase().replace('_', " ");
        let has_reason = !matches!(self.reason.as_str(), "" | "None");
        match (has_reason, self.nodes.is_empty()) {
            (true, _) => format!("{word}: {}", self.reason),
            (false, false) => format!("{word} on {}", self.nodes),
            (false, true) => word,
        }
    }
}

impl Slurm {
    /// Finds the commands.
    ///
    /// # Errors
    /// Names the first that is missing.
    pub fn find() -> Result<Self, String> {
        Ok(Self {
            sbatch: installed::find("sbatch")?,
            squeue: installed::find("squeue")?,
            scancel: installed::find("scancel")?,
        })
    }

    /// Submits a script, and says the job's number.
    ///
    /// # Errors
    /// What `sbatch` said.
    pub async fn submit(&self, script: &Path) -> io::Result<u64> {
        let args = [OsStr::new("--parsable"), script.as_os_str()];
        let said = answer(&self.sbatch, &args).await?;
        // Where there are several clusters, the cluster's name follows the number.
        let number = said.trim().split(';').next().unwrap_or_default();
        number
            .parse()
            .map_err(|_| io::Error::other(format!("sbatch said no job number: {said:?}")))
    }

    /// Asks for a job's state; none if Slurm knows no such job any more.
    ///
    /// # Errors
    /// What `squeue` said: the controller may be away for a while.
    pub async fn state(&self, job: u64) -> io::Result<Option<JobState>> {
        let jobs = format!("--jobs={job}");
        let args = ["--noheader", "--states=all", "--format=%T|%r|%N", &jobs];
        match answer(&self.squeue, &args).await {
            Ok(said) => Ok(said.lines().next().and_then(parse)),
            Err(error) if error.to_string().contains("Invalid job id") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has a job cancelled.
    ///
    /// # Errors
    /// What `scancel` said.
    pub async fn cancel(&self, job: u64) -> io::Result<()> {
        answer(&self.scancel, &[job.to_string()]).await.map(drop)
    }
}

fn parse(line: &str) -> Option<JobState> {
    let mut fields = line.trim().split(SEPARATOR).map(str::to_owned);
    Some(JobState {
        word: fields.next().filter(|word| !word.is_empty())?,
        reason: fields.next()?,
        nodes: fields.next()?,
    })
}

/// Runs a command and gives what it printed; what it complained of is the error.
async fn answer(program: &Path, args: &[impl AsRef<OsStr>]) -> io::Result<String> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        // Ctrl-C is for us to hear: a submission is not to be cut in two.
        .process_group(0)
        .kill_on_drop(true);
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::time::timeout(PATIENCE, command.output())
        .await
        .map_err(|_| io::Error::other(format!("{name} does not answer")))??;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr);
    // Some of the commands say their own name on each line, some do not.
    let prefix = format!("{name}: error: ");
    let said = said.lines().map(str::trim);
    let said: Vec<&str> = said
        .map(|line| line.strip_prefix(&prefix).unwrap_or(line))
        .collect();
    Err(io::Error::other(match said.join("; ") {
        said if said.is_empty() => format!("{name}: {status}"),
        said => format!("{name}: {said}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_squeue_prints_is_understood() {
        let cases = [
            ("PENDING|Resources|", "pending: Resources", false),
            ("RUNNING|None|node[1-4]", "running on node[1-4]", false),
            (
                "COMPLETING|None|node[1-4]",
                "completing on node[1-4]",
                false,
            ),
            ("COMPLETED|None|node[1-4]", "completed on node[1-4]", true),
            ("TIMEOUT|TimeLimit|node1", "timeout: TimeLimit", true),
            ("NODE_FAIL|None|node1", "node fail on node1", true),
            ("SOMETHING_NEW|None|", "something new", false),
        ];
        for (line, told, has_ended) in cases {
            let state = parse(line).unwrap();
            assert_eq!(
                (state.told().as_str(), state.has_ended()),
                (told, has_ended)
            );
        }
        assert_eq!(parse(""), None);
    }

    #[tokio::test]
    async fn what_a_command_complains_of_is_one_line() {
        let shell = Path::new("/bin/sh");
        let said = answer(shell, &["-c", "echo one; echo two >&2"]).await;
        assert_eq!(said.unwrap(), "one\n");
        let error = answer(shell, &["-c", "echo sh: error: a >&2; echo b >&2; exit 1"]).await;
        assert_eq!(error.unwrap_err().to_string(), "sh: a; b");
        let error = answer(shell, &["-c", "exit 3"]).await.unwrap_err();
        assert_eq!(error.to_string(), "sh: exit status: 3");
    }
}
