//! The batch script: what `sbatch` is given, and anybody can read, change and submit.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load::Load;
use super::records::{JOB_LOG, Records};

/// What the job is called in the queue.
pub const JOB_NAME: &str = "harness-load";

/// What the script is called in the load's directory.
pub const FILE: &str = "job.sh";

/// What a job is asked for.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where the shards leave their files; all nodes must see it.
    pub records: Records,
    /// Machines; as Slurm places the shards if nothing is said.
    pub nodes: Option<u64>,
    /// The partition; Slurm's default if none is named.
    pub partition: Option<String>,
    /// How long it may take; what the partition allows if nothing is said.
    pub time_limit: Option<Duration>,
    /// From the start of the script to the first slot of the schedule.
    pub start_after: Duration,
    /// This executable, by a path that the nodes know, too.
    pub program: PathBuf,
    /// What each shard does.
    pub load: Load,
}

impl Job {
    /// The text of the script.
    #[must_use]
    pub fn script(&self) -> String {
        let count = self.records.count;
        let directory = word(&self.records.directory.display().to_string());
        let program = word(&self.program.display().to_string());
        let load: Vec<String> = self.load.words.iter().map(|it| word(it)).collect();
        let load = load.join(" ");
        let width = self.records.width();
        // Slurm pads only numbers of several digits; of one digit there is nothing to pad.
        let task = if width > 1 {
            format!("%{width}t")
        } else {
            "%t".to_owned()
        };
        let after = whole_seconds(self.start_after);
        let asked = self.asked();
        format!(
            r#"#!/bin/bash
# One load in {count} shards, written by "harness distribute". By hand:
#   sbatch {directory}/{FILE}
# and when the job has ended, on any machine:
#   {program} merge {directory}
{asked}#SBATCH --no-requeue
#SBATCH --output=/dev/null

out={directory}
exec > "$out/{JOB_LOG}" 2>&1 || exit 1

# Every shard is given the same moment: slot 0 of the one schedule is due then.
start=$(($(date +%s) + {after}))
echo "start at $start on $SLURM_JOB_NODELIST"

# A shard that ends badly must not take the others along.
srun --ntasks={count} --kill-on-bad-exit=0 --wait=0 --input=none \
    --output="$out/shard-{task}.log" \
    {program} loadgen {load} \
    --shard auto --start-at "$start" --out "$out"
"#
        )
    }

    /// The lines that say what is asked of Slurm.
    fn asked(&self) -> String {
        let count = self.records.count;
        let mut asked = vec![("job-name", JOB_NAME.to_owned())];
        if let Some(nodes) = self.nodes {
            asked.push(("nodes", nodes.to_string()));
        }
        asked.push(("ntasks", count.to_string()));
        if let Some(nodes) = self.nodes {
            // Spread evenly, rather than as many on the first as it holds.
            asked.push(("ntasks-per-node", count.div_ceil(nodes).to_string()));
        }
        if let Some(partition) = &self.partition {
            asked.push(("partition", partition.clone()));
        }
        if let Some(limit) = self.time_limit {
            asked.push(("time", slurm_time(limit)));
        }
        let mut lines = String::new();
        for (flag, value) in asked {
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "#SBATCH --{flag}={value}");
        }
        lines
    }
}

/// What cannot stand in the path of a directory that `srun` writes to: it gives `%` and
/// `\` a meaning, and a script has lines.
#[must_use]
pub fn is_path_for_slurm(path: &Path) -> bool {
    let text = path.to_str();
    text.is_some_and(|text| !text.contains(['%', '\\']) && !text.contains(char::is_control))
}

/// Whether Slurm takes this as the name of a partition, or several.
#[must_use]
pub fn is_partition(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.,+".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain)
}

/// Rounded up: a second is what the script's clock tells.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// As `--time` takes it: hours, minutes and seconds.
fn slurm_time(limit: Duration) -> String {
    let seconds = whole_seconds(limit);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

/// A word as bash takes it.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job {
            records: Records {
                directory: "/shared/the results".into(),
                count: 4,
            },
            nodes: Some(4),
            partition: None,
            time_limit: None,
            start_after: Duration::from_millis(9500),
            program: "/opt/harness".into(),
            load: Load {
                words: ["foo", "--connect", "h:1", "--tags", "a b", "--seed", "7"]
                    .map(str::to_owned)
                    .to_vec(),
                seed: 7,
            },
        }
    }

    #[test]
    fn words_reach_the_shards_as_they_were_given() {
        let script = job().script();
        for line in [
            "#SBATCH --ntasks=4",
            "#SBATCH --nodes=4",
            "#SBATCH --ntasks-per-node=1",
            "#SBATCH --no-requeue",
            "out='/shared/the results'",
            "start=$(($(date +%s) + 10))",
            "    /opt/harness loadgen foo --connect h:1 --tags 'a b' --seed 7 \\",
            "    --output=\"$out/shard-%t.log\" \\",
        ] {
            assert!(
                script.lines().any(|one| one == line),
                "no {line:?}:\n{script}"
            );
        }
        assert!(!script.contains("--partition") && !script.contains("--time"));
    }

    #[test]
    fn what_is_asked_of_slurm_is_in_the_script() {
        let mut job = job();
        job.records.count = 10;
        job.partition = Some("load,spare".to_owned());
        job.time_limit = Some(Duration::from_secs(5430));
        let script = job.script();
        for line in [
            "#SBATCH --ntasks-per-node=3",
            "#SBATCH --partition=load,spare",
            "#SBATCH --time=1:30:30",
            "    --output=\"$out/shard-%2t.log\" \\",
        ] {
            assert!(
                script.lines().any(|one| one == line),
                "no {line:?}:\n{script}"
            );
        }
        job.nodes = None;
        assert!(!job.script().contains("node="), "Slurm places them");
    }

    #[test]
    fn what_bash_would_change_is_quoted() {
        for (text, quoted) in [
            ("20k/s", "20k/s"),
            ("", "''"),
            ("{a,b}", "'{a,b}'"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("~", "'~'"),
        ] {
            assert_eq!(word(text), quoted);
        }
    }

    #[test]
    fn names_that_slurm_takes_otherwise_are_known() {
        assert!(is_path_for_slurm(Path::new("/shared/a b")));
        for bad in ["/a%t", "/a\\b", "/a\nb"] {
            assert!(!is_path_for_slurm(Path::new(bad)), "{bad:?}");
        }
        assert!(is_partition("load,spare-2"));
        for bad in ["", "-x", "a b", "a\n#SBATCH --uid=0"] {
            assert!(!is_partition(bad), "{bad:?}");
        }
    }
}
