//! The flags that every mode takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use service::ready::InheritedFd;
use service::units::{Size, format_duration, parse_duration};

use super::probing::Probing;
use super::{Aim, addresses};
use crate::generate::{Corpus, Recipe, Source, Strategy};
use crate::plan::{Content, Keep, Plan};
use crate::recording::{self, Recorded};

/// Bytes of a run for which no limit is given.
const DEFAULT_BYTES: u64 = 30_000_000;

/// Duration of a run for which no limit is given.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// The same for a run that is expected to end by something else.
const LONG_DURATION: Duration = Duration::from_secs(60);

/// How long a target that cuts a session short is left alone.
const PAUSE: Duration = Duration::from_millis(10);

/// More sessions at once than this need more descriptors than a process may have.
const MAX_CONNECTIONS: u64 = 20_000;

/// What every mode takes.
#[derive(Args, Debug)]
pub(crate) struct Flags {
    /// Make bytes in this way [default: random; grammar for statsd; mutate with --corpus]
    #[arg(long, value_enum)]
    strategy: Option<Strategy>,

    /// Send this many bytes, over all connections [default: 30MB; none with --until-crash,
    /// --source, --replay or in datagrams]
    #[arg(long, value_name = "SIZE")]
    bytes: Option<Size>,

    /// Send for this long [default: 10s; 1m with --until-crash, --source or --replay]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,

    /// Use this many connections, or sockets, at the same time
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONNECTIONS))]
    connections: u64,

    /// Number the connections from here on: connection N of an earlier run again
    #[arg(long, value_name = "N", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=u64::MAX / 2))]
    first_connection: u64,

    /// Make the bytes from this seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Send the files in this directory first, each on a connection of its own, in the order
    /// of their names; then what mutations make of them
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,

    /// Send this file, device or stdin (-) instead of made bytes. A file goes to each
    /// connection as a whole; anything else needs --connections 1
    #[arg(long, value_name = "PATH", conflicts_with_all = ["corpus", "replay", "strategy"])]
    source: Option<PathBuf>,

    /// Send again what --record has kept, each connection with its end, in the order in
    /// which they were opened
    #[arg(long, value_name = "PATH", conflicts_with_all = ["corpus", "strategy", "first_connection"])]
    replay: Option<PathBuf>,

    /// Keep every byte that was sent in this file: raw if there is one connection only,
    /// otherwise in pieces, each behind a line "connection N bytes LENGTH". A path that ends
    /// with "/" is a directory, with a file for each connection
    #[arg(long, value_name = "PATH")]
    record: Option<PathBuf>,

    /// Keep only this many of the connections that have ended, the last ones
    #[arg(long, value_name = "N", requires = "record",
        value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,

    /// Open a new connection whenever one has ended, until the target takes no more or fails
    /// a probe
    #[arg(long)]
    until_crash: bool,

    /// Where connections follow each other, end each after this many bytes
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    session_bytes: Size,

    /// Call it a hang when the target neither takes nor sends a byte for this long, or does
    /// not answer a probe
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    hang_after: Duration,

    #[command(flatten)]
    probing: Probing,

    /// Write what was seen as one JSON object to this file, or to stdout (-) instead of
    /// the text
    #[arg(long, value_name = "PATH")]
    pub(crate) json: Option<PathBuf>,

    /// Announce the start with one JSON line on this open descriptor
    #[arg(long, value_name = "FD")]
    pub(crate) ready_fd: Option<InheritedFd>,

    /// Send to other machines than this one
    #[arg(long)]
    allow_remote: bool,

    /// Write no text
    #[arg(long)]
    pub(crate) quiet: bool,
}

impl Flags {
    /// The plan that these flags stand for, together with a mode's own.
    pub(super) fn plan(&self, aim: &Aim<'_>) -> anyhow::Result<Plan> {
        let targets = addresses(aim.connect, "--connect", self.allow_remote)?;
        if self.hang_after.is_zero() {
            bail!("--hang-after must be longer than 0");
        }
        if self.session_bytes.0 == 0 {
            bail!("--session-bytes must be more than 0");
        }
        let strategy = self.strategy(aim);
        let content = self.content(aim, strategy)?;
        if matches!(content, Content::Source(Source::Stream(_))) && self.connections > 1 {
            bail!("--source that is not a regular file needs --connections 1");
        }
        if aim.datagrams && self.record.as_deref().is_some_and(is_directory) {
            bail!("--record of datagrams needs a file, which keeps where each of them ends");
        }
        let is_made = matches!(content, Content::Made(_));
        let ends_by_itself = self.until_crash || !is_made;
        let bytes = self.bytes.map(|size| size.0);
        let bytes = bytes.or((!ends_by_itself && !aim.datagrams).then_some(DEFAULT_BYTES));
        let default = if ends_by_itself {
            LONG_DURATION
        } else {
            DEFAULT_DURATION
        };
        let duration = self.duration.unwrap_or(default);
        let probe = self.probing.settle(
            aim.protocol,
            aim.datagrams,
            self.until_crash,
            self.hang_after,
            self.allow_remote,
        )?;
        let replays = matches!(content, Content::Replay(_));
        let follow = self.until_crash
            || replays
            || self.corpus.is_some()
            || is_made && matches!(strategy, Strategy::Churn | Strategy::Slow);
        Ok(Plan {
            targets,
            content,
            seed: self.seed,
            connections: self.connections,
            first_connection: self.first_connection,
            bytes,
            session_bytes: self.session_bytes.0,
            duration,
            rate: aim.rate,
            follow,
            probe,
            hang_after: self.hang_after,
            recording: self.record.clone().map(Keep::Path),
            keep: self.keep.map(|keep| keep as usize),
            pause: PAUSE,
            last_look: true,
            config: self.config(aim, strategy, bytes, duration),
        })
    }

    fn strategy(&self, aim: &Aim<'_>) -> Strategy {
        let default = match self.corpus {
            Some(_) => Strategy::Mutate,
            None => aim.default_strategy,
        };
        self.strategy.unwrap_or(default)
    }

    fn content(&self, aim: &Aim<'_>, strategy: Strategy) -> anyhow::Result<Content> {
        if let Some(path) = &self.source {
            return Source::open(path).map(Content::Source).context("--source");
        }
        if let Some(path) = &self.replay {
            return recorded(path)
                .map(|all| Content::Replay(all.into()))
                .context("--replay");
        }
        let corpus = self.corpus.as_deref().map(Corpus::read).transpose();
        let corpus = corpus.context("--corpus")?.map(Arc::new);
        let (protocol, seed) = (aim.protocol, self.seed);
        Ok(Content::Made(Recipe {
            protocol,
            strategy,
            seed,
            corpus,
        }))
    }

    fn config(
        &self,
        aim: &Aim<'_>,
        strategy: Strategy,
        bytes: Option<u64>,
        duration: Duration,
    ) -> BTreeMap<String, Value> {
        let path = |path: &Option<PathBuf>| json!(path.as_ref().map(|p| p.to_string_lossy()));
        let flags = [
            ("connect", json!(aim.connect)),
            ("strategy", json!(strategy)),
            ("bytes", json!(bytes)),
            ("duration", json!(format_duration(duration))),
            ("connections", json!(self.connections)),
            ("first_connection", json!(self.first_connection)),
            ("seed", json!(self.seed)),
            ("rate", json!(aim.rate)),
            ("corpus", path(&self.corpus)),
            ("source", path(&self.source)),
            ("replay", path(&self.replay)),
            ("record", path(&self.record)),
            ("keep", json!(self.keep)),
            ("until_crash", json!(self.until_crash)),
            ("session_bytes", json!(self.session_bytes.0)),
            ("hang_after", json!(format_duration(self.hang_after))),
            ("probe", json!(self.probing.how())),
            ("allow_remote", json!(self.allow_remote)),
        ];
        flags.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

fn is_directory(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir()
}

/// What a file or a directory has kept.
fn recorded(path: &Path) -> anyhow::Result<Vec<Recorded>> {
    if path.is_dir() {
        return Ok(recording::read_directory(path)?);
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    recording::read(&bytes).with_context(|| path.display().to_string())
}
