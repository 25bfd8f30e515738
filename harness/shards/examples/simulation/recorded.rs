//! A real record to draw from: a few seconds of the load client against the reference server.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use loadgen::record::LoadRecord;
use service::ready::Ready;

/// A child that does not outlive us.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn record() -> Result<LoadRecord, Box<dyn Error>> {
    let own = std::env::current_exe()?;
    // It tells where it listens on a descriptor of its own: here that is its stdout.
    let mut server = Server(
        Command::new("sh")
            .arg("-c")
            .arg("exec \"$0\" upstream foo --listen 127.0.0.1:0 --ready-fd 3 3>&1")
            .arg(&own)
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let stdout = server.0.stdout.take().ok_or("the server has no stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let ready: Ready = serde_json::from_str(&line)?;
    let at = ready
        .sockets
        .get("listen")
        .ok_or("the server listens nowhere")?;
    let file = tempfile::NamedTempFile::new()?;
    let status = Command::new(&own)
        .args([
            "loadgen",
            "foo",
            "--connect",
            at,
            "--rate",
            "5k/s",
            "--duration",
            "5s",
        ])
        .args([
            "--warmup",
            "1s",
            "--interval",
            "1s",
            "--connections",
            "16",
            "--floor",
            "0",
        ])
        .args(["--seed", "1", "--quiet", "--json"])
        .arg(file.path())
        .stdout(Stdio::null())
        .status()?;
    // A busy machine makes it invalid, which is of no interest here.
    if !matches!(status.code(), Some(0 | 3)) {
        return Err(format!("loadgen ended with {status}").into());
    }
    Ok(serde_json::from_slice(&std::fs::read(file.path())?)?)
}
