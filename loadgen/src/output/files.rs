//! Files and descriptors that a run writes to.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::histograms::Histogram;
use crate::record::{Interval, LoadEvent, LoadRecord};

/// Where the record goes.
pub(crate) enum RecordFile {
    Stdout,
    File(File),
}

impl RecordFile {
    /// Opens `path`, `-` being stdout.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        create(path).map(Self::File)
    }

    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    /// Writes the record as indented JSON.
    pub(crate) fn write(&mut self, record: &LoadRecord) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(record)?;
        text.push('\n');
        match self {
            Self::Stdout => io::stdout().write_all(text.as_bytes())?,
            Self::File(file) => file.write_all(text.as_bytes())?,
        }
        Ok(())
    }
}

/// Where the record of a shard goes: a file that is there as a whole or not at all.
pub(crate) struct ShardFile(PathBuf);

impl ShardFile {
    /// Sees that `path` can be written, and makes its directory if that is missing.
    pub(crate) fn open(path: PathBuf) -> anyhow::Result<Self> {
        if path.exists() {
            return Err(exists(&path));
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let file = Self(path);
        create(&file.draft())?;
        std::fs::remove_file(file.draft())?;
        Ok(file)
    }

    /// The name under which it is written before it has its own.
    fn draft(&self) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        let process = std::process::id();
        self.0.with_file_name(format!(".{name}.{process}"))
    }

    /// Writes the record as one line of JSON.
    pub(crate) fn write(&self, record: &LoadRecord) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(record)?;
        text.push('\n');
        let draft = self.draft();
        let written = create(&draft).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            self.name(&draft)
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&draft);
        }
        written.with_context(|| format!("cannot write {}", self.0.display()))
    }

    /// Gives the draft its name, which nobody may have taken in the meantime.
    fn name(&self, draft: &Path) -> anyhow::Result<()> {
        match renameat_with(CWD, draft, CWD, &self.0, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(exists(&self.0)),
            // Not every file system knows that flag.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if !self.0.exists() => {
                Ok(std::fs::rename(draft, &self.0)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn exists(path: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "{} exists: give another directory, or take it away",
        path.display()
    )
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

/// Events, one JSON line each, for as long as somebody reads them.
pub(crate) struct Events(Option<File>);

impl Events {
    pub(crate) fn new(file: File) -> Self {
        Self(Some(file))
    }

    pub(crate) fn write(&mut self, event: &LoadEvent) {
        let Some(file) = &mut self.0 else { return };
        let Ok(mut line) = serde_json::to_string(event) else {
            return;
        };
        line.push('\n');
        if file.write_all(line.as_bytes()).is_err() {
            self.0 = None;
        }
    }
}

/// The response times of each slice as an HdrHistogram interval log, which the plotting
/// tools of other implementations read. Times are seconds of the Unix epoch. Slices of
/// the warm-up are left out: not every reader knows tags, and one that does not would add
/// them to the rest. The record has them.
pub(crate) struct IntervalLog {
    file: BufWriter<File>,
    /// From the monotonic clock to the Unix epoch.
    epoch: Duration,
    begun: bool,
}

/// Largest values in the log are shown in milliseconds, as its readers expect.
const NS_PER_MS: f64 = 1e6;

impl IntervalLog {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let epoch = unix.saturating_sub(Duration::from_nanos(service::clock::mono_ns()));
        Ok(Self {
            file: BufWriter::new(create(path)?),
            epoch,
            begun: false,
        })
    }

    /// Appends a slice, unless it belongs to the warm-up.
    pub(crate) fn write(
        &mut self,
        interval: &Interval,
        response: &Histogram,
    ) -> anyhow::Result<()> {
        if interval.warmup {
            return Ok(());
        }
        let start = self.epoch + Duration::from_nanos(interval.start_mono_ns);
        let mut header = IntervalLogWriterBuilder::new();
        header.with_max_value_divisor(NS_PER_MS);
        if !self.begun {
            header.add_comment("[Logged by loadgen; response times in nanoseconds]");
            header.with_start_time(SystemTime::UNIX_EPOCH + start);
        }
        let mut text = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut log = header.begin_log_with(&mut text, &mut serializer)?;
        let length = Duration::from_secs_f64(interval.length_s);
        log.write_histogram(response, start, length, None)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut text = String::from_utf8(text)?;
        if self.begun {
            // The builder repeats the divisor, which belongs at the top only.
            text = text
                .lines()
                .filter(|l| !l.starts_with('#'))
                .map(|l| format!("{l}\n"))
                .collect();
        } else {
            let legend = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";
            let at = text
                .rfind("#")
                .and_then(|at| text[at..].find('\n').map(|end| at + end + 1));
            text.insert_str(at.unwrap_or(0), legend);
        }
        self.begun = true;
        self.file.write_all(text.as_bytes())?;
        self.file.flush()?;
        Ok(())
    }
}
