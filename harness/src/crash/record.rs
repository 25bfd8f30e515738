//! What a run came to, as plain data for programs, and for a CI server.

use bundle::verdict::Seen;
use bundle::{Finding, Transport};
use fuzzclient::generate::Protocol;
use report::junit::escape;
use serde::Serialize;
use service::signals::Stop;

use super::evidence::{Kept, Reported};
use super::hunt::{Outcome, Plan};

/// Version of `crash.json`. It grows when a field changes its meaning or goes away.
const SCHEMA_VERSION: u32 = 1;

/// What JUnit calls the one test.
const CASE: &str = "nothing that was sent did any harm";

/// `crash.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    schema_version: u32,
    /// What was attacked, in words.
    target: String,
    /// Whose messages were the model, if that was said.
    protocol: Option<Protocol>,
    transport: Transport,
    /// The same seed sends the same bytes.
    seed: u64,
    /// How long it took.
    elapsed_ms: u64,
    /// Bytes sent.
    bytes_sent: u64,
    /// Connections, or datagrams.
    connections: u64,
    /// Starts of the target.
    lives: u64,
    /// Valid requests, to see whether it lives.
    probes: u64,
    /// The longest that an answer to one took.
    slowest_answer_us: u64,
    /// When the first finding was made, from the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    found_after_ms: Option<u64>,
    /// Each cause once.
    findings: Vec<Found>,
    /// If a signal ended it early: the exit code of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted: Option<u8>,
    /// What the harness could not do.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What the harness ended with.
    exit_code: u8,
}

/// A cause.
#[derive(Clone, Debug, Serialize)]
struct Found {
    /// `died-sigsegv-0123456789abcdef`.
    key: String,
    /// Who and what.
    finding: Finding,
    /// How often it was found.
    times: u32,
    /// How often it came when it was sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<Seen>,
    /// Where it is kept; none if it could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
}

impl Found {
    fn of(reported: &Reported) -> Self {
        let verdict = &reported.bundle.verdict;
        Self {
            key: verdict.key.to_string(),
            finding: verdict.finding.clone(),
            times: reported.times,
            repeats: verdict.repeats,
            bundle: match &reported.kept {
                Kept::Written(place) | Kept::Known(place) => Some(place.display().to_string()),
                Kept::Lost(_) => None,
            },
        }
    }
}

impl Record {
    /// Of a run that is over.
    #[must_use]
    pub fn of(plan: &Plan, target: &str, outcome: &Outcome, exit_code: u8) -> Self {
        let sums = &outcome.sums;
        let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            schema_version: SCHEMA_VERSION,
            target: target.to_owned(),
            protocol: plan.protocol,
            transport: plan.transport,
            seed: plan.seed,
            elapsed_ms: whole(sums.elapsed.as_millis()),
            bytes_sent: sums.bytes,
            connections: sums.connections,
            lives: sums.lives,
            probes: sums.probes,
            slowest_answer_us: whole(sums.slowest.as_micros()),
            found_after_ms: sums.found_after.map(|after| whole(after.as_millis())),
            findings: outcome.found.iter().map(Found::of).collect(),
            interrupted: outcome.stopped.map(Stop::exit_code),
            problem: outcome.problem.clone(),
            exit_code,
        }
    }

    /// As JUnit XML: one test, which fails once for each cause.
    #[must_use]
    pub fn junit(&self) -> String {
        let target = escape(&self.target);
        let interruption = self.interrupted.map(|_| "interrupted".to_owned());
        let problem = self.problem.clone().or(interruption);
        let case = |name: &str, inside: &str| {
            format!(
                "    <testcase classname=\"{target}\" name=\"{}\">{inside}</testcase>\n",
                escape(name)
            )
        };
        let failed = self.findings.iter().map(|found| {
            let said = found.finding.sentence(self.transport);
            let more = [
                found.finding.detail.as_str(),
                found.bundle.as_deref().unwrap_or(""),
            ];
            let inside = format!(
                "<failure message=\"{}\">{}</failure>",
                escape(&said),
                escape(&more.join(" "))
            );
            case(&found.key, &inside)
        });
        let mut cases: Vec<String> = failed.collect();
        let errors = usize::from(problem.is_some());
        if let Some(problem) = &problem {
            cases.push(case(
                CASE,
                &format!("<error message=\"{}\"/>", escape(problem)),
            ));
        } else if cases.is_empty() {
            cases.push(case(CASE, ""));
        }
        let (tests, failures) = (cases.len(), self.findings.len());
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"harness\">\n  \
             <testsuite name=\"crash\" tests=\"{tests}\" failures=\"{failures}\" \
             errors=\"{errors}\" skipped=\"0\">\n{}  </testsuite>\n</testsuites>\n",
            cases.concat()
        )
    }
}
