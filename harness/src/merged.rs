//! From the merged record of shards to a run, as if the harness had watched it: the events
//! that it would have seen, at the times that the record tells.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use loadgen::record::LoadRecord;
use report::event::{Event, Role, RunHeader, ScenarioHeader, Stamped, Target};
use report::expect::{Expectation, Origin};
use report::text::number;
use serde_json::{Value, json};
use upstream::UpstreamRecord;

/// What the scenario and its load are called.
const NAME: &str = "merge";

/// The protocol of requests that are told from each other.
const REQUESTS: &str = "foo";

/// What a server counted, as it told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Where it was read.
    pub file: PathBuf,
    /// As it was written.
    pub counts: Value,
}

/// Reads what a reference server wrote to stdout: of several lines the last, which it
/// writes at its end.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn told(file: &Path) -> Result<Told, String> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.ok_or_else(|| format!("{shown} is empty: expected {EXPECTED}"))?;
    let wrong = |error| format!("{shown}: expected {EXPECTED}: {error}");
    serde_json::from_str::<UpstreamRecord>(last).map_err(wrong)?;
    let counts = serde_json::from_str(last).map_err(wrong)?;
    Ok(Told {
        file: file.to_owned(),
        counts,
    })
}

const EXPECTED: &str = "what \"harness upstream\" writes to stdout at its end";

/// What the run must show: what the command line demands, and what goes without saying.
#[must_use]
pub fn expectations(
    record: &LoadRecord,
    demanded: &[Expectation],
    upstreams: &[Told],
) -> Vec<Expectation> {
    let is_answered = record.statsd.is_none();
    let counts = ["failed = 0", "unanswered = 0"].into_iter();
    let counts = counts.filter(|_| is_answered);
    let valid = record.target_rate.map(|_| "valid");
    let implied = counts
        .chain(valid)
        .filter_map(|text| Expectation::load(text, None, Origin::Implied).ok());
    // Only requests are counted alike on both sides: lines and datagrams have accounts, and
    // bytes no number.
    let is_counted = !upstreams.is_empty() && mode(record) == REQUESTS;
    let reconcile = is_counted.then(|| Expectation::reconcile(Origin::Implied));
    let demanded = demanded.iter().cloned();
    demanded.chain(implied).chain(reconcile).collect()
}

/// The events of the run, in order.
#[must_use]
pub fn events(
    header: RunHeader,
    record: LoadRecord,
    expectations: Vec<Expectation>,
    upstreams: &[Told],
) -> Vec<Stamped> {
    let (begin, end) = span(&record);
    let subject = subject(&record);
    let scenario = ScenarioHeader {
        name: NAME.to_owned(),
        description: description(&record),
        source: "command line".to_owned(),
        seed: record.seed,
        config: json!({
            "proxy": {"mode": mode(&record), "descriptor": subject},
            "load": [record.config],
        }),
        subjects: vec![subject.clone()],
        expectations,
        compared: false,
        capacity: None,
    };
    let mut events = Vec::new();
    let mut at = |mono_ns, event| events.push(Stamped { mono_ns, event });
    at(begin, Event::RunStarted(header));
    at(begin, Event::ScenarioStarted(scenario));
    at(
        begin,
        Event::BlockStarted {
            round: 1,
            subject,
            arm: None,
            rate: None,
        },
    );
    for (number, told) in upstreams.iter().enumerate() {
        let name = match upstreams.len() {
            1 => Role::Upstream.word().to_owned(),
            _ => format!("upstream.{number}"),
        };
        // It runs somewhere, and has no process that we could look at.
        at(
            begin,
            Event::ChildStarted {
                role: Role::Upstream,
                name,
                pid: 0,
                command: vec![told.file.display().to_string()],
            },
        );
    }
    at(
        end,
        Event::LoadEnded {
            name: NAME.to_owned(),
            target: Target::Proxy,
            record: Some(Box::new(record)),
            problem: None,
        },
    );
    for (number, told) in upstreams.iter().enumerate() {
        at(
            end,
            Event::Counted {
                role: Role::Upstream,
                name: (upstreams.len() > 1).then(|| format!("upstream.{number}")),
                counts: told.counts.clone(),
            },
        );
    }
    at(end, Event::BlockEnded { problem: None });
    at(end, Event::ScenarioEnded { problem: None });
    at(end, Event::RunEnded);
    events
}

/// When it began and ended, on the monotonic clock of the first shard.
fn span(record: &LoadRecord) -> (u64, u64) {
    let begin = record.intervals.first();
    let begin = begin.map_or(record.started_mono_ns, |first| first.start_mono_ns);
    let end = record.intervals.last().map_or(begin, |last| {
        last.start_mono_ns
            .saturating_add((last.length_s * 1e9) as u64)
    });
    (begin, end)
}

fn subject(record: &LoadRecord) -> String {
    let connect = record.config.get("connect").and_then(Value::as_str);
    format!("addr:{}", connect.unwrap_or("unknown"))
}

/// What the load spoke.
fn mode(record: &LoadRecord) -> &'static str {
    if record.statsd.is_some() {
        "statsd"
    } else if record.udp.is_some() {
        "udp"
    } else if record.config.contains_key("half-close") {
        "tcp"
    } else {
        REQUESTS
    }
}

fn description(record: &LoadRecord) -> String {
    let hosts = record.shards.iter().map(|one| one.shard.host.as_str());
    let hosts: BTreeSet<&str> = hosts.collect();
    let plural = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{} {what}s", number::count(count as u64)),
    };
    let how = match (record.target_rate, record.mode.as_str()) {
        (Some(rate), _) => format!("open loop at {}", number::rate(rate)),
        (None, "max") => "as fast as it goes".to_owned(),
        (None, _) => "closed loop".to_owned(),
    };
    let connections = record.config.get("connections").and_then(Value::as_u64);
    let connections = connections.map_or_else(String::new, |count| {
        format!(", {}", plural(count as usize, "connection"))
    });
    format!(
        "{} on {}, {how}{connections}",
        plural(record.shards.len(), "shard"),
        plural(hosts.len(), "machine")
    )
}

/// Keeps events as those of a run that is watched are kept.
///
/// # Errors
/// Names the file and what the system said.
pub fn keep(events: &[Stamped], directory: &Path) -> io::Result<()> {
    let mut lines = Vec::new();
    for event in events {
        serde_json::to_writer(&mut lines, event)?;
        lines.push(b'\n');
    }
    crate::output::whole(&directory.join("events.jsonl"), &lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_taken_at_its_last_word() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("upstream.json");
        let mut record = UpstreamRecord::default();
        let first = serde_json::to_string(&record).unwrap();
        record.requests = 7;
        let last = serde_json::to_string(&record).unwrap();
        fs::write(&file, format!("{first}\n{last}\n\n")).unwrap();
        assert_eq!(told(&file).unwrap().counts["requests"], 7);
        for other in ["", "\n", "{}", "hello"] {
            fs::write(&file, other).unwrap();
            let said = told(&file).unwrap_err();
            assert!(
                said.contains("upstream.json") && said.contains("harness upstream"),
                "{said}"
            );
        }
    }
}
