//! Configuration files of the statsd cluster proxy (`proxyConfig.js`) and of the Go proxy
//! modelled on it (JSON): the same keys, in any case.
//!
//! Such a file is an object: as JSON, as JSON5, or as the JavaScript literal that statsd
//! evaluates. Here nothing is evaluated. [`source`] reads it and knows where things stand,
//! [`values`] are the kinds of values, [`node`] is one of `nodes`, [`settings`] are the keys.

mod node;
mod settings;
mod source;
mod values;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

pub(super) use node::NodeAt;
pub(super) use values::Server;

/// What a file says; `None` is what it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct File {
    /// `nodes`: where metrics go, in order, each once.
    pub(super) nodes: Vec<NodeAt>,
    /// `host`, or `address` as statsd's servers call it: where to listen, without brackets.
    pub(super) host: Option<String>,
    /// `port`: where to listen.
    pub(super) port: Option<u16>,
    /// `mgmt_address`: where to listen for management, without brackets.
    pub(super) management_address: Option<String>,
    /// `mgmt_port` or `managementport`.
    pub(super) management_port: Option<u16>,
    /// `checkInterval`, milliseconds in the file.
    pub(super) check_interval: Option<Duration>,
    /// `cacheSize`: read, but nothing is cached that it could limit.
    pub(super) cache_size: Option<u64>,
    /// `forkCount`: how many threads; `auto` is one for each processor, 0 leaves it open.
    pub(super) threads: Option<usize>,
    /// `server`: what to listen for.
    pub(super) server: Option<Server>,
    /// `address_ipv6`, or what `udp_version` says: whether to listen on IPv6.
    pub(super) ipv6: Option<bool>,
    /// `automaticConfigReload`: whether to read the file again when it changes.
    pub(super) automatic_reload: Option<bool>,
    /// Keys that neither proxy knows, and their lines. They do no harm, but what they were
    /// to do is not done.
    pub(super) unknown: Vec<(String, usize)>,
    /// Keys that are there again, and their lines. The last one counts.
    pub(super) repeated: Vec<(String, usize)>,
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub(super) enum ConfigError {
    #[error("{}: cannot read the configuration: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{}:{line}: {key}{}{what}", path.display(), if key.is_empty() { "" } else { ": " })]
    Wrong {
        path: PathBuf,
        line: usize,
        /// The key as it is written there, and where it is: `nodes[1].port`. Empty if the
        /// file cannot be parsed and none is near.
        key: String,
        /// What is wrong; what is accepted.
        what: String,
    },
}

/// Reads a file.
///
/// # Errors
/// Names the file, the line, the key, what is wrong and what is accepted, in one line.
pub(super) fn load(path: &Path) -> Result<File, ConfigError> {
    source::Source::read(path).and_then(|source| settings::read(&source))
}
