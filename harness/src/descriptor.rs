//! What is under test, as `--proxy` and scenarios name it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use report::figures::{BUILTIN, DIRECT};
use service::addr::HostPort;

use crate::installed;
use crate::peers;
use crate::revision::Revision;

/// What stands between clients and upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// The proxy of this workspace, out of this executable, with these arguments beside those
    /// of the scenario.
    Builtin(Vec<String>),
    /// Nothing: clients connect to the upstream.
    Direct,
    /// A program that takes `foo --listen ADDR --forward ADDR`.
    Binary(PathBuf),
    /// The same program, built from a revision of the repository around us.
    Revision(Revision),
    /// A command line with `{listen}` and `{forward}` in it.
    Command(String),
    /// An installed proxy, by a configuration template.
    Template(Template),
    /// Something that runs already.
    Running(HostPort),
}

/// An installed proxy for which there is a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// nginx, its `stream` module.
    Nginx,
    /// HAProxy in TCP mode.
    Haproxy,
    /// Envoy, its TCP proxy filter.
    Envoy,
    /// The cluster proxy that comes with npm's `statsd`.
    Statsd,
    /// Sentry's `statsdproxy`, which relays to one server.
    Statsdproxy,
}

impl Template {
    /// The program's name.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Statsd => "statsd",
            Self::Statsdproxy => "statsdproxy",
        }
    }

    /// Whether it takes lines of statsd, and nothing else.
    #[must_use]
    pub fn is_for_statsd(self) -> bool {
        matches!(self, Self::Statsd | Self::Statsdproxy)
    }
}

/// A text that is none of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected builtin (with more arguments behind it, if need be), direct, nginx, haproxy, envoy, statsd, statsdproxy, git:REV, a path to a binary that takes \
     \"foo --listen ADDR --forward ADDR\" (with a \"/\" in it), \"cmd:PROGRAM … {{listen}} … {{forward}}\" \
     or addr:HOST:PORT, got {text:?}{hint}"
)]
pub struct DescriptorError {
    text: String,
    hint: String,
}

impl FromStr for Descriptor {
    type Err = DescriptorError;

    fn from_str(text: &str) -> Result<Self, DescriptorError> {
        let error = |hint: &str| DescriptorError {
            text: text.to_owned(),
            hint: hint.to_owned(),
        };
        if let Some(command) = text.strip_prefix("cmd:") {
            let holes = [&["{listen}"][..], &["{forward}", "{backends}"]];
            let missing = holes.into_iter().find_map(|any| {
                let is_there = any.iter().any(|part| command.contains(part));
                (!is_there).then_some(any[0])
            });
            return match missing {
                Some(part) => Err(error(&format!(", which has no {part}"))),
                None => Ok(Self::Command(command.trim().to_owned())),
            };
        }
        if let Some(addr) = text.strip_prefix("addr:") {
            let addr: HostPort = addr.parse().map_err(|e| error(&format!(": {e}")))?;
            return match addr.port() {
                0 => Err(error(": nothing runs on port 0")),
                _ => Ok(Self::Running(addr)),
            };
        }
        if let Some(revision) = text.strip_prefix("git:") {
            let revision = Revision::named(revision);
            return revision.map(Self::Revision).map_err(|hint| error(&hint));
        }
        let mut words = text.split_whitespace().map(str::to_owned);
        if words.next().as_deref() == Some(BUILTIN) {
            return Ok(Self::Builtin(words.collect()));
        }
        match text {
            DIRECT => Ok(Self::Direct),
            "nginx" => Ok(Self::Template(Template::Nginx)),
            "haproxy" => Ok(Self::Template(Template::Haproxy)),
            "envoy" => Ok(Self::Template(Template::Envoy)),
            "statsd" => Ok(Self::Template(Template::Statsd)),
            "statsdproxy" => Ok(Self::Template(Template::Statsdproxy)),
            path if path.contains('/') => Ok(Self::Binary(PathBuf::from(path))),
            _ => Err(error("")),
        }
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(args) => {
                f.write_str(BUILTIN)?;
                args.iter().try_for_each(|arg| write!(f, " {arg}"))
            }
            Self::Direct => f.write_str(DIRECT),
            Self::Binary(path) => write!(f, "{}", path.display()),
            Self::Revision(revision) => revision.fmt(f),
            Self::Command(command) => write!(f, "cmd:{command}"),
            Self::Template(template) => f.write_str(template.program()),
            Self::Running(addr) => write!(f, "addr:{addr}"),
        }
    }
}

impl Descriptor {
    /// Whether it is started with the flags of `proxy foo`, so that a scenario's `args`
    /// make sense to it.
    #[must_use]
    pub fn takes_our_flags(&self) -> bool {
        matches!(self, Self::Builtin(_)) || self.is_build_of_ours()
    }

    /// Whether it is a program of its own that is started like our proxy.
    #[must_use]
    pub fn is_build_of_ours(&self) -> bool {
        matches!(self, Self::Binary(_) | Self::Revision(_))
    }

    /// The program's file, where it can be known without building it.
    ///
    /// # Errors
    /// That there is no such program, and where it was looked for.
    pub fn program(&self) -> Result<Option<PathBuf>, String> {
        match self {
            Self::Builtin(_) | Self::Direct | Self::Running(_) | Self::Revision(_) => Ok(None),
            Self::Binary(path) => installed::executable(path).map(Some),
            Self::Template(Template::Envoy) => installed::envoy().map(Some),
            // What runs is node; which program it runs is the template's affair.
            Self::Template(Template::Statsd) => {
                peers::cluster_proxy()?;
                installed::find("node").map(Some)
            }
            Self::Template(Template::Statsdproxy) => peers::sentry().map(Some),
            Self::Template(template) => installed::find(template.program()).map(Some),
            Self::Command(command) => {
                let name = command.split_whitespace().next().unwrap_or_default();
                if name.contains('/') {
                    installed::executable(Path::new(name)).map(Some)
                } else {
                    installed::find(name).map(Some)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors() {
        for text in [
            "builtin",
            "builtin --balance random",
            "direct",
            "nginx",
            "haproxy",
            "envoy",
            "statsd",
            "statsdproxy",
            "git:HEAD~1",
            "git:v0.1",
            "git:branch/name",
            "./x",
            "/a/b",
            "cmd:x {listen} {forward}",
            "addr:localhost:80",
        ] {
            assert_eq!(text.parse::<Descriptor>().unwrap().to_string(), text);
        }
        let cases = [
            (
                "squid",
                "expected builtin (with more arguments behind it, if need be), direct, nginx, haproxy, envoy, statsd, statsdproxy, git:REV",
            ),
            ("git:", "names no revision"),
            ("git:--output=x", "names no revision"),
            ("", "got \"\""),
            ("cmd:x {listen}", "which has no {forward}"),
            ("addr:nowhere", "HOST:PORT"),
            ("addr:h:0", "port 0"),
        ];
        for (text, says) in cases {
            let error = text.parse::<Descriptor>().unwrap_err().to_string();
            assert!(
                error.contains(says) && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn programs_are_looked_for_before_anything_starts() {
        assert_eq!(Descriptor::Builtin(Vec::new()).program(), Ok(None));
        assert!(
            Descriptor::Binary("/nonexistent/proxy".into())
                .program()
                .unwrap_err()
                .contains("there is no")
        );
        assert!(
            Descriptor::Binary("/".into())
                .program()
                .unwrap_err()
                .contains("not a program")
        );
        let missing = Descriptor::Command("no-such-program {listen} {forward}".into()).program();
        assert!(missing.unwrap_err().contains("not installed"));
        assert!(
            Descriptor::Command("sh -c '{listen} {forward}'".into())
                .program()
                .unwrap()
                .is_some()
        );
    }
}
