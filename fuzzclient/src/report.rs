//! Saying what was seen: JSON for programs, a few lines for people.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;

use crate::observed::{CONNECTED, HUNG};
use crate::record::FuzzRecord;

/// Where the report goes. Opened before the run, so that a wrong path costs nothing.
#[derive(Debug)]
pub(crate) struct Output {
    json: Option<Json>,
    text: bool,
}

#[derive(Debug)]
enum Json {
    Stdout,
    File(File),
}

impl Output {
    /// Opens `json`, `-` being stdout, which is then not used for text.
    pub(crate) fn open(json: Option<&Path>, quiet: bool) -> anyhow::Result<Self> {
        let json = match json {
            None => None,
            Some(path) if path.as_os_str() == "-" => Some(Json::Stdout),
            Some(path) => {
                let file = File::create(path);
                Some(Json::File(file.with_context(|| {
                    format!("cannot write {}", path.display())
                })?))
            }
        };
        let text = !quiet && !matches!(json, Some(Json::Stdout));
        Ok(Self { json, text })
    }

    /// Writes the record wherever it is wanted.
    pub(crate) fn write(self, record: &FuzzRecord) -> anyhow::Result<()> {
        if let Some(json) = self.json {
            let mut line = serde_json::to_vec(record)?;
            line.push(b'\n');
            match json {
                Json::Stdout => to_stdout(&line),
                Json::File(mut file) => file.write_all(&line).context("cannot write the record")?,
            }
        }
        if self.text {
            to_stdout(text(record).as_bytes());
        }
        Ok(())
    }
}

/// Nobody may be reading any more, which is no fault of ours.
fn to_stdout(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

fn text(record: &FuzzRecord) -> String {
    let seconds = record.elapsed_s.max(1e-9);
    let rate = record.bytes_sent as f64 / seconds / 1e6;
    let seen: Vec<String> = record
        .observations
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let found = record.findings.iter().map(|finding| {
        let after = finding.bytes_sent;
        format!(
            "found     {}: {}, after {after} bytes\n",
            finding.what, finding.detail
        )
    });
    let found: String = found.collect();
    let harm = record
        .findings
        .iter()
        .find(|finding| finding.what != "slow");
    let target = if record.target_gone {
        "gone: it had taken connections and refuses them now"
    } else if let Some(finding) = harm {
        finding.what.as_str()
    } else if record.observations.contains_key(HUNG) {
        "hung: it took and sent nothing for too long"
    } else if record.datagrams.is_some() && record.probes.is_none() {
        "unknown: nobody answers datagrams"
    } else if record.datagrams.is_some() {
        "still takes datagrams"
    } else if record.observations.contains_key(CONNECTED) {
        "still takes connections"
    } else {
        "was never reached"
    };
    format!(
        "sent      {} bytes, {} lines in {:.3} s, {rate:.1} MB/s, seed {}\n\
         received  {} bytes, {} replies\n\
         seen      {}\n\
         {found}\
         stopped   by {}\n\
         target    {target}\n",
        record.bytes_sent,
        record.lines_sent,
        record.elapsed_s,
        record.seed,
        record.bytes_received,
        record.replies,
        if seen.is_empty() {
            "nothing".to_owned()
        } else {
            seen.join(", ")
        },
        record.stopped_by,
    )
}
