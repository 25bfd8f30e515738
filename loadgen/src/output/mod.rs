//! Everything that is printed or written.

mod chart;
pub(crate) mod console;
mod files;
mod progress;
mod text;

use std::io::{self, Write};
use std::os::fd::IntoRawFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::Context as _;
use service::cli::USAGE;
use service::ready::{InheritedFd, Ready};
use service::signals::Stop;

use crate::args::LoadArgs;
use crate::config::Config;
use crate::crew::{CrewError, Observer};
use crate::histograms::Histogram;
use crate::outcome::Outcome;
use crate::record::{Bulk, Interval, LoadEvent, LoadRecord};
use crate::shard::ShardPlan;
use crate::stop::StopFlag;
use crate::tally::ConnectTally;
use files::{Events, IntervalLog, RecordFile, ShardFile};
use progress::Progress;
pub(crate) use progress::Unit;

/// The outputs of a run, opened before anything is started.
pub(crate) struct Output {
    record: Option<RecordFile>,
    shard: Option<ShardFile>,
    log: Option<IntervalLog>,
    events: Option<Events>,
    progress: Option<Progress>,
    ready: Option<InheritedFd>,
    program: &'static str,
    target: String,
    /// Who it is that waits for the start.
    waits_as: String,
    /// What could not be written while the run went on.
    trouble: Option<anyhow::Error>,
}

/// What is to be written, and about what.
pub(crate) struct Wanted<'a> {
    pub(crate) json: Option<&'a Path>,
    pub(crate) shard: Option<&'a ShardPlan>,
    pub(crate) hlog: Option<&'a Path>,
    pub(crate) events_fd: Option<InheritedFd>,
    pub(crate) ready_fd: Option<InheritedFd>,
    pub(crate) quiet: bool,
    pub(crate) program: &'static str,
    pub(crate) target: String,
    /// How long the run takes, if that is known.
    pub(crate) lasts: Option<Duration>,
    /// What progress counts.
    pub(crate) unit: Unit,
}

impl<'a> Wanted<'a> {
    /// What the arguments of a load ask for.
    pub(crate) fn of(args: &'a LoadArgs, config: &'a Config, unit: Unit) -> Self {
        Self {
            json: args.outputs.json.as_deref(),
            shard: config.shard.as_ref(),
            hlog: args.hlog.as_deref(),
            events_fd: args.outputs.events_fd,
            ready_fd: args.outputs.ready_fd,
            quiet: args.outputs.quiet,
            program: config.program,
            target: args.connect.to_string(),
            lasts: config.plan.duration.map(|long| long + config.plan.warmup),
            unit,
        }
    }
}

impl Output {
    /// Opens what is `wanted`, has it `used`, and says how that ended.
    pub(crate) fn used(
        wanted: Wanted<'_>,
        used: impl FnOnce(Self) -> anyhow::Result<ExitCode>,
    ) -> ExitCode {
        match Self::open(wanted) {
            Ok(output) => service::cli::exit(used(output), 1),
            Err(error) => service::cli::exit(Err(error), USAGE),
        }
    }

    fn open(wanted: Wanted<'_>) -> anyhow::Result<Self> {
        let shard = wanted.shard.map(|shard| ShardFile::open(shard.file()));
        let shard = shard.transpose().context("--out")?;
        let record = wanted.json.map(RecordFile::open).transpose();
        let log = wanted.hlog.map(IntervalLog::open).transpose();
        let events = wanted
            .events_fd
            .map(|fd| fd.open().map(Events::new))
            .transpose();
        if let Some(fd) = wanted.ready_fd {
            // It is announced on later; whether it can be is known now.
            let _still_open = fd.open().context("--ready-fd")?.into_raw_fd();
        }
        Ok(Self {
            record: record.context("--json")?,
            log: log.context("--hlog")?,
            events: events.context("--events-fd")?,
            shard,
            progress: (!wanted.quiet).then(|| Progress::new(wanted.unit, wanted.lasts)),
            waits_as: wanted
                .shard
                .map_or_else(String::new, |shard| shard.place.to_string()),
            ready: wanted.ready_fd,
            program: wanted.program,
            target: wanted.target,
            trouble: None,
        })
    }

    /// Says in one line what is about to run.
    pub(crate) fn say(&mut self, line: &str) {
        if let Some(progress) = &self.progress {
            progress.say(line);
        }
    }

    /// Has a shard, if it is one, agree with the others on the start, and tells that in
    /// nanoseconds of the Unix epoch.
    ///
    /// # Errors
    /// That it was asked to stop before, or that they did not come.
    pub(crate) fn meet(
        &mut self,
        shard: Option<&mut ShardPlan>,
        stop: &StopFlag,
    ) -> Result<Option<u64>, CrewError> {
        let Some(shard) = shard else { return Ok(None) };
        if shard.awaits_others() {
            self.say(&format!("{}: waiting for the others", shard.place));
        }
        match shard.meet(stop) {
            Ok(true) => Ok(Some(shard.start_unix_ns)),
            Ok(false) => Err(CrewError::CalledOff),
            Err(error) => Err(CrewError::Apart(error)),
        }
    }

    /// Says what is about to run.
    pub(crate) fn begin(&mut self, config: &Config) {
        if let Some(progress) = &self.progress {
            progress.say(&text::headline(self.program, &self.target, &config.plan));
        }
    }

    /// Writes the record where it was asked for.
    pub(crate) fn write_record(&mut self, record: &LoadRecord) -> anyhow::Result<()> {
        if let Some(file) = &mut self.record {
            file.write(record).context("--json")?;
        }
        if let Some(file) = &self.shard {
            file.write(record).context("--out")?;
        }
        Ok(())
    }

    /// Writes the record of a run that could not begin or go on, and says how to exit: as
    /// the signal that stopped it asks, or with what went wrong.
    pub(crate) fn nothing_came(
        &mut self,
        error: &CrewError,
        signal: &Receiver<Stop>,
        record_of_nothing: impl FnOnce(&ConnectTally, &str) -> LoadRecord,
    ) -> anyhow::Result<ExitCode> {
        if let CrewError::NothingOpened(connects) = error {
            let text = format!("{}: {error}", self.target);
            self.write_record(&record_of_nothing(connects, &text))?;
        }
        self.not_begun(error, signal)
    }

    /// Says how to exit if there is nothing to record.
    pub(crate) fn not_begun(
        &self,
        error: &CrewError,
        signal: &Receiver<Stop>,
    ) -> anyhow::Result<ExitCode> {
        match signal.try_recv() {
            Ok(stopped) => Ok(ExitCode::from(stopped.exit_code())),
            Err(_) => Err(anyhow::anyhow!("{}: {error}", self.target)),
        }
    }

    /// Writes what is known at the end: the record, and unless that went to stdout, the
    /// report.
    pub(crate) fn finish(&mut self, record: &LoadRecord, outcome: &Outcome) -> anyhow::Result<()> {
        let report = text::report(&self.target, record, &outcome.response);
        self.end(record, &report)
    }

    /// The same for a bulk transfer.
    pub(crate) fn finish_bulk(&mut self, record: &LoadRecord, bulk: &Bulk) -> anyhow::Result<()> {
        let report = text::bulk_report(&self.target, record, bulk);
        self.end(record, &report)
    }

    /// The same for statsd lines.
    pub(crate) fn finish_statsd(&mut self, record: &LoadRecord) -> anyhow::Result<()> {
        let report = match &record.statsd {
            Some(statsd) => text::statsd_report(&self.target, record, statsd),
            None => String::new(),
        };
        self.end(record, &report)
    }

    fn end(&mut self, record: &LoadRecord, report: &str) -> anyhow::Result<()> {
        if let Some(events) = &mut self.events {
            events.write(&LoadEvent::Done {
                mono_ns: service::clock::mono_ns(),
            });
        }
        self.write_record(record)?;
        if !self.record.as_ref().is_some_and(RecordFile::is_stdout) {
            match io::stdout().write_all(report.as_bytes()) {
                // Whoever reads the report may stop reading.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                written => written.context("cannot write the report")?,
            }
        }
        self.trouble.take().map_or(Ok(()), Err)
    }
}

impl Observer for Output {
    fn opened(&mut self, open: usize, failed: u64) {
        let sockets = [("connect", self.target.clone())];
        let announced = Ready::new(self.program, sockets).announce(self.ready.take());
        if let Some(progress) = &self.progress {
            if failed > 0 {
                progress.say(&format!(
                    "{open} connections are open, {failed} could not be opened"
                ));
            }
            if let Err(error) = announced {
                progress.say(&format!("--ready-fd: {error}"));
            }
        }
    }

    fn waiting(&mut self, left: Duration) {
        if let Some(progress) = &mut self.progress {
            progress.waiting(&self.waits_as, left);
        }
    }

    fn measuring(&mut self, mono_ns: u64) {
        if let Some(events) = &mut self.events {
            events.write(&LoadEvent::Measuring { mono_ns });
        }
    }

    fn slice(&mut self, interval: &Interval, response: &Histogram) {
        if let Some(events) = &mut self.events {
            events.write(&LoadEvent::Interval(interval.clone()));
        }
        if let Some(log) = &mut self.log
            && let Err(error) = log.write(interval, response)
        {
            // A log that cannot be written does not end the measurement.
            self.trouble.get_or_insert(error.context("--hlog"));
            self.log = None;
        }
        if let Some(progress) = &mut self.progress {
            progress.slice(interval);
        }
    }
}

/// A duration with as many digits as say something.
fn short(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
