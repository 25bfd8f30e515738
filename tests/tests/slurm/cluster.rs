//! A Slurm of the test's own, ended with it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/slurm/cluster.sh");

/// Munge, a controller and four nodes.
#[derive(Debug)]
pub(crate) struct Cluster {
    script: Child,
    directory: TempDir,
}

impl Cluster {
    /// Starts one and waits until its nodes are idle. None where there is no Slurm.
    pub(crate) fn start() -> Option<Self> {
        let programs = ["slurmctld", "slurmd", "munged", "sbatch"];
        if !programs.into_iter().all(tests::is_installed) {
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let script = Command::new(SCRIPT)
            .arg("hold")
            .arg(directory.path().join("slurm"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It ends by the end of its standard input, whatever becomes of us; who ends a
            // whole group of processes must not end it before the daemons.
            .process_group(0)
            .spawn()
            .expect("the script");
        let mut cluster = Self { script, directory };
        let mut line = String::new();
        let stdout = cluster.script.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n", "the cluster has not come up");
        Some(cluster)
    }

    /// The file that makes Slurm's commands speak to it.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.path("slurm/slurm.conf")
    }

    /// Where a load leaves its files.
    pub(crate) fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// A file of the test's.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What one of Slurm's commands prints.
    pub(crate) fn ask(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(program)
            .args(args)
            .env("SLURM_CONF", self.configuration())
            .output()
            .expect("a command of Slurm");
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        // It bounds its own patience with each of the daemons.
        let _ = self.script.wait();
    }
}
