//! The configuration file: reading it, and saying where it is wrong.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::options::Options;
use crate::file;

/// Larger files are not configurations of ours: thousands of backends fit.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub(super) enum ConfigError {
    #[error("cannot read the configuration {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{place}: {message}")]
    Wrong { place: String, message: String },
    #[error("{0}")]
    Options(String),
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// Names it and what the system said.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let utf8 = |bytes| {
            let text = String::from_utf8(bytes);
            text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        };
        match file::read(path, MAX_BYTES).and_then(utf8) {
            Ok(text) => Ok(Self {
                path: path.to_owned(),
                text,
            }),
            Err(error) => Err(ConfigError::Read {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// Parses it. Unknown keys are refused.
    ///
    /// # Errors
    /// Names the file, the line, the key and what is accepted.
    pub(super) fn parse(&self) -> Result<Options, ConfigError> {
        toml::from_str(&self.text).map_err(|error| {
            let message = error.message().replace('\n', " ");
            match error.span() {
                Some(span) => self.wrong(&span, &message),
                None => ConfigError::Wrong {
                    place: self.path.display().to_string(),
                    message,
                },
            }
        })
    }

    /// Something is wrong at a place.
    pub(super) fn wrong(&self, span: &Range<usize>, message: &str) -> ConfigError {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        let place = format!("{} line {line}", self.path.display());
        let key = text.split_once('=').map(|(key, _)| key.trim());
        let key = key.filter(|key| !key.is_empty() && !message.contains(&format!("`{key}`")));
        let message = key.map_or(message.to_owned(), |key| format!("{key}: {message}"));
        ConfigError::Wrong { place, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, String> {
        let source = Source {
            path: "proxy.toml".into(),
            text: text.to_owned(),
        };
        source.parse().map_err(|error| error.to_string())
    }

    #[test]
    fn everything_can_be_said() {
        let options = parse(
            r#"
            listen = ":4000"
            balance = "P2C_EWMA"
            connect_timeout = "250ms"
            retries = 3
            backends = ["a:1,weight=2", { address = "b:2", max_connections = 5 }]
            accept_proxy = "optional"
            proxy_from = ["10.0.0.0/8"]
            driver = "epoll"
            log_level = "debug"
            start_unresolved = true
            keepalive = "off"

            [health]
            interval = "1s"
            send = "PING\\r\\n"
            eject_after = 0

            [[pool]]
            name = "db"
            balance = "least-conn"
            backends = ["c:3"]
            health = { interval = 0 }

            [[route]]
            sni = "*.example.org"
            pool = "db"
            "#,
        )
        .unwrap();
        assert_eq!(options.backends[0].weight, 2);
        assert_eq!(options.backends[1].max_connections, Some(5));
        assert_eq!(options.health.send.unwrap().0, b"PING\r\n");
        assert_eq!(options.pool[0].name.get_ref(), "db");
        assert!(options.start_unresolved);
        assert_eq!(options.keepalive.unwrap().0, None);
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_key() {
        for (text, words) in [
            (
                "\nidle_timout = 1",
                &["line 2", "`idle_timout`", "idle_timeout"][..],
            ),
            (
                "\n\nidle_timeout = \"5\"",
                &["line 3", "idle_timeout:", "250ms"],
            ),
            ("balance = \"fast\"", &["line 1", "balance:", "p2c-ewma"]),
            ("retries = -1", &["line 1", "retries:", "at least 0"]),
            ("listen = \"x\"", &["line 1", "listen:", "HOST:PORT"]),
            ("driver = \"kqueue\"", &["line 1", "driver:", "io_uring"]),
            (
                "backends = [\n  \"a:1\",\n  \"b\"\n]",
                &["line 3", "\"b\"", "HOST:PORT"],
            ),
            (
                "backends = [{ address = \"a:1\", wait = 1 }]",
                &["line 1", "`wait`", "weight"],
            ),
            ("[health]\ninterval = true", &["line 2", "interval:"]),
            ("[health]\nrise = 0", &["line 2", "rise:", "at least 1"]),
            ("[[pool]]\nname = \"x\"", &["line 1", "backends"]),
            ("[[route]]\nsni = \"x\"\nto = \"y\"", &["line 3", "`to`"]),
            ("listen = ", &["line 1", "listen:"]),
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains('\n'), "{error}");
            for word in words {
                assert!(
                    error.contains(word),
                    "{text}: should mention {word}: {error}"
                );
            }
        }
    }
}
