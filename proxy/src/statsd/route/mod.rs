//! `proxy statsd route`: tells where keys go, and what moves if a node dies, without
//! sending anything.
//!
//! [`moves`] finds it out, [`text`] shows it to people; as JSON it is what it is.

mod moves;
mod text;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use protocol::statsd;
use service::logging::LogLevel;

use self::moves::Routes;
use super::config::{self, NodeAt};
use super::plan::{self, PlanError};

/// The most that is read from stdin: millions of keys, and no more memory than there is.
const MAX_STDIN_BYTES: u64 = 256 * 1024 * 1024;

/// Tell which node keys go to, and what moves if a node dies.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  proxy statsd route -f config.json app.requests app.errors
      The node of each key; for each node, its share of all keys there can be, and who
      gets it if the node dies.
  proxy statsd route --node 10.0.0.1:8125 --node 10.0.0.2:8125 'app.requests:1|c'
      Nodes without a file. A whole line stands for its key.
  proxy statsd route -f config.json --json - < keys.txt
      Keys from stdin, one on a line; the answer as JSON.")]
pub(super) struct RouteArgs {
    /// Configuration of the proxy, as for running it.
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// A node, HOST:PORT[:ADMINPORT]; may be repeated. Takes the place of the file's nodes.
    #[arg(long = "node", value_name = "NODE")]
    nodes: Vec<NodeAt>,

    /// Print JSON: nodes, keys, and moves for each node that may die.
    #[arg(long)]
    json: bool,

    /// Keys, or lines that begin with one; `-` reads more from stdin, one on a line.
    #[arg(value_name = "KEY")]
    keys: Vec<OsString>,
}

/// Prints the routes.
///
/// # Errors
/// That stdin cannot be read or stdout cannot be written to.
pub(super) fn run(args: RouteArgs) -> Result<ExitCode> {
    service::logging::init(LogLevel::Warn);
    let nodes = match nodes(&args) {
        Ok(nodes) => nodes,
        Err(error) => return Ok(service::cli::exit(Err(error), service::cli::USAGE)),
    };
    let names: Vec<_> = nodes.iter().map(NodeAt::name).collect();
    let routes = Routes::new(&names, &keys(args.keys)?);
    let shown = if args.json {
        serde_json::to_string_pretty(&routes)? + "\n"
    } else {
        text::show(&routes)
    };
    match io::stdout().lock().write_all(shown.as_bytes()) {
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => written
            .context("cannot write to stdout")
            .map(|()| ExitCode::SUCCESS),
    }
}

/// The nodes asked about.
fn nodes(args: &RouteArgs) -> Result<Vec<NodeAt>, PlanError> {
    let mut nodes = args.nodes.clone();
    // A file that is wrong is wrong, even if its nodes are not asked for.
    if let Some(path) = &args.config {
        let file = config::load(path)?;
        for warning in plan::warnings(&file, path) {
            tracing::warn!("{warning}");
        }
        if nodes.is_empty() {
            nodes = file.nodes;
        }
    }
    plan::check_nodes(nodes)
}

/// The keys asked about, in order, each once.
fn keys(given: Vec<OsString>) -> Result<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut add = |line: &[u8]| {
        let key = statsd::key(line).to_vec();
        if seen.insert(key.clone()) {
            keys.push(key);
        }
    };
    for text in given {
        let text = text.into_vec();
        if text != b"-" {
            add(&text);
            continue;
        }
        let mut input = Vec::new();
        let mut stdin = io::stdin().lock().take(MAX_STDIN_BYTES + 1);
        stdin
            .read_to_end(&mut input)
            .context("cannot read keys from stdin")?;
        if input.len() as u64 > MAX_STDIN_BYTES {
            bail!("more than {MAX_STDIN_BYTES} bytes of keys on stdin");
        }
        // Lines of a text, not of a datagram: what ends one may have two bytes.
        statsd::lines(&input)
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .for_each(&mut add);
    }
    Ok(keys)
}
