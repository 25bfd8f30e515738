//! Waiting for a job: what becomes of it is told, and it is cancelled when we are.

use std::io;
use std::time::{Duration, Instant};

use service::signals::{Stop, StopSignals};

use super::records::{self, Records};
use super::slurm::{JobState, Slurm};

/// How often Slurm is asked: its controller answers everybody's questions.
const POLL: Duration = Duration::from_secs(1);

/// How long a controller may be away before the job is taken for lost: it may be started
/// anew while jobs run on.
const CONTROLLER_PATIENCE: Duration = Duration::from_secs(300);

/// How long a job that was cancelled may take to be gone before we leave it to Slurm.
const CANCEL_PATIENCE: Duration = Duration::from_secs(30);

/// How waiting ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The job did, or Slurm has forgotten it since.
    Job(Option<JobState>),
    /// Nobody could say for a long time what became of it.
    Lost(String),
    /// Somebody ended us, and the job has been cancelled; if it may still run, why.
    Stopped(Stop, Option<String>),
}

/// A job that is waited for.
pub struct Watched<'a> {
    /// Who knows of it.
    pub slurm: &'a Slurm,
    /// Its number.
    pub job: u64,
    /// What it leaves behind.
    pub records: &'a Records,
    /// Takes each line that tells how it goes.
    pub tell: &'a dyn Fn(&str),
}

impl Watched<'_> {
    /// Waits until the job has ended, or a signal says to end it.
    pub async fn to_its_end(&self, signals: &mut StopSignals) -> End {
        let mut told = Told::default();
        let mut away_since = None;
        loop {
            let look = async {
                tokio::time::sleep(POLL).await;
                self.slurm.state(self.job).await
            };
            let state = tokio::select! {
                stop = signals.next() => {
                    return End::Stopped(stop, self.cancel(signals).await);
                }
                state = look => state,
            };
            match state {
                Ok(state) => {
                    away_since = None;
                    if let Some(state) = &state {
                        self.tell_news(&mut told, state);
                    }
                    if state.as_ref().is_none_or(JobState::has_ended) {
                        records::look_afresh(&self.records.directory);
                        return End::Job(state);
                    }
                }
                Err(error) => {
                    let since = *away_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > CONTROLLER_PATIENCE {
                        return End::Lost(error.to_string());
                    }
                    told.news(format!("{error}; still waiting"), self.tell);
                }
            }
        }
    }

    fn tell_news(&self, told: &mut Told, state: &JobState) {
        let job = self.job;
        let mut line = format!("job {job} {}", state.told());
        let is_at_work = state.word == "RUNNING" || state.word == "COMPLETING";
        let (count, missing) = (self.records.count, self.records.missing().len() as u64);
        if is_at_work && missing < count {
            line = format!(
                "{line}: {} of {count} shards have finished",
                count - missing
            );
        }
        told.news(line, self.tell);
    }

    /// Cancels the job and waits until it is gone, so that no load outlives us; a second
    /// signal ends the waiting. Tells why it may still run, if it may.
    async fn cancel(&self, signals: &mut StopSignals) -> Option<String> {
        (self.tell)(&format!("cancelling job {}", self.job));
        tokio::select! {
            _ = signals.next() => Some("nobody waited for its end".to_owned()),
            gone = tokio::time::timeout(CANCEL_PATIENCE, self.gone()) => match gone {
                Ok(gone) => gone.err().map(|error| error.to_string()),
                Err(_) => Some("it takes its time".to_owned()),
            }
        }
    }

    async fn gone(&self) -> io::Result<()> {
        self.slurm.cancel(self.job).await?;
        loop {
            let state = self.slurm.state(self.job).await?;
            if state.is_none_or(|state| state.has_ended()) {
                return Ok(());
            }
            tokio::time::sleep(POLL / 4).await;
        }
    }
}

/// What was said last: only news are told.
#[derive(Debug, Default)]
struct Told(String);

impl Told {
    fn news(&mut self, line: String, tell: &dyn Fn(&str)) {
        if line != self.0 {
            tell(&line);
            self.0 = line;
        }
    }
}
