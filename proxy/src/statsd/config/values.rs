//! The kinds of values that a configuration has.

use std::net::Ipv6Addr;
use std::thread::available_parallelism;
use std::time::Duration;

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged;

use super::ConfigError;
use super::source::Source;

/// The longest interval: what a timer of Node.js can wait, 25 days.
const MAX_MILLIS: u64 = i32::MAX as u64;

/// More threads than this no machine has use for.
const MAX_THREADS: u64 = 1_024;

/// What lines are listened for on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Server {
    pub(in super::super) udp: bool,
    pub(in super::super) tcp: bool,
}

/// A value and the key that it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) source: &'a Source,
    /// The key as it is written, and where: `nodes[1].port`.
    pub(super) key: &'a str,
    pub(super) value: &'a Value<'a>,
}

impl Entry<'_> {
    /// `null` is what JavaScript and Go take for not there.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value, Value::NullKeyword(_))
    }

    /// This value is not what is accepted.
    pub(super) fn not(&self, accepted: &str) -> ConfigError {
        let range = self.value.range();
        let (kind, shown) = match self.value {
            Value::Object(_) => ("an object", String::new()),
            Value::Array(_) => ("an array", String::new()),
            Value::StringLit(_) => ("the text ", self.source.quoted(range.start, range.end)),
            _ => ("", self.source.quoted(range.start, range.end)),
        };
        let what = format!("{kind}{shown} cannot be used; accepted is {accepted}");
        self.source.wrong(range.start, self.key, &what)
    }

    /// A port to listen on.
    pub(super) fn port(&self) -> Result<u16, ConfigError> {
        let accepted = "a port, a number from 0 (any that is free) to 65535";
        self.whole(0, u16::MAX.into(), accepted)
            .map(|port| port as u16)
    }

    /// A port to send or connect to.
    pub(super) fn port_there(&self) -> Result<u16, ConfigError> {
        let accepted = "a port, a number from 1 to 65535";
        self.whole(1, u16::MAX.into(), accepted)
            .map(|port| port as u16)
    }

    /// A host without a port: a name or an address, IPv6 with or without brackets. They are
    /// not part of the result.
    pub(super) fn host(&self) -> Result<String, ConfigError> {
        const ACCEPTED: &str = "a host name or an address in quotes, without a port";
        let Value::StringLit(text) = self.value else {
            return Err(self.not(ACCEPTED));
        };
        plain_host(&text.value).ok_or_else(|| self.not(ACCEPTED))
    }

    /// An interval in milliseconds. 0 is the default, as in the original.
    pub(super) fn millis(&self) -> Result<Option<Duration>, ConfigError> {
        let accepted = "a whole number of milliseconds up to 2147483647";
        let millis = self.whole(0, MAX_MILLIS, accepted)?;
        Ok((millis > 0).then(|| Duration::from_millis(millis)))
    }

    /// A size.
    pub(super) fn size(&self) -> Result<u64, ConfigError> {
        self.whole(0, u32::MAX.into(), "a whole number that is not negative")
    }

    /// A number of threads. 0, the original's way not to fork, leaves it open.
    pub(super) fn threads(&self) -> Result<Option<usize>, ConfigError> {
        if matches!(self.value, Value::StringLit(text) if text.value == "auto") {
            return Ok(available_parallelism().ok().map(usize::from));
        }
        let accepted = "a whole number from 0 to 1024, or \"auto\"";
        let threads = self.whole(0, MAX_THREADS, accepted)?;
        Ok((threads > 0).then_some(threads as usize))
    }

    /// Yes or no.
    pub(super) fn flag(&self) -> Result<bool, ConfigError> {
        match self.value {
            Value::BooleanLit(flag) => Ok(flag.value),
            _ => Err(self.not("true or false")),
        }
    }

    /// `udp4` or `udp6`: whether the latter.
    pub(super) fn udp_version(&self) -> Result<bool, ConfigError> {
        match self.value {
            Value::StringLit(text) if text.value == "udp4" => Ok(false),
            Value::StringLit(text) if text.value == "udp6" => Ok(true),
            _ => Err(self.not("\"udp4\" or \"udp6\"")),
        }
    }

    /// What to listen for: `udp`, `tcp`, both, or the original's paths of modules.
    pub(super) fn server(&self) -> Result<Server, ConfigError> {
        let words: Option<Vec<&str>> = match self.value {
            Value::StringLit(text) => Some(text.value.split(',').collect()),
            Value::Array(array) => {
                let texts = array.elements.iter().map(Value::as_string_lit);
                texts.map(|text| Some(text?.value.as_ref())).collect()
            }
            _ => None,
        };
        let server = words.and_then(|words| {
            let none = Server {
                udp: false,
                tcp: false,
            };
            let server = words.into_iter().try_fold(none, |server, word| {
                let module = word.trim().rsplit('/').next().unwrap_or_default();
                match module.strip_suffix(".js").unwrap_or(module) {
                    "udp" => Some(Server {
                        udp: true,
                        ..server
                    }),
                    "tcp" => Some(Server {
                        tcp: true,
                        ..server
                    }),
                    "both" => Some(Server {
                        udp: true,
                        tcp: true,
                    }),
                    _ => None,
                }
            });
            server.filter(|server| server.udp || server.tcp)
        });
        server.ok_or_else(|| {
            self.not("\"udp\", \"tcp\", \"udp,tcp\", \"./servers/udp\" or \"./servers/tcp\"")
        })
    }

    /// A whole number in a range, however it is written: `8125`, `0x1fbd`, `1e4`.
    fn whole(&self, least: u64, most: u64, accepted: &str) -> Result<u64, ConfigError> {
        let Value::NumberLit(literal) = self.value else {
            return Err(self.not(accepted));
        };
        let text = literal.value.trim_start_matches('+');
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let number = match hex {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => whole(text),
        };
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.not(accepted))
    }
}

/// A decimal number that is whole and not negative.
fn whole(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    // All that is accepted anywhere is below 2^53, where a float is exact.
    let is_whole = number.fract() == 0.0 && (0.0..9e15).contains(&number);
    is_whole.then_some(number as u64)
}

/// A host as it is looked up, `None` if it cannot be one.
pub(super) fn plain_host(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        return inner.parse::<Ipv6Addr>().ok().map(|_| inner.to_owned());
    }
    let is_name = !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || ":/[]".contains(c));
    (is_name || text.parse::<Ipv6Addr>().is_ok()).then(|| text.to_owned())
}
