//! A backend as people type it: `HOST:PORT,weight=2,max=100`, or a table of the same.

use std::fmt;
use std::str::FromStr;

use balance::MAX_WEIGHT;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use service::addr::HostPort;

use super::values::number;

/// A backend as it is asked for: `HOST:PORT`, and what holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackendAt {
    pub(super) address: HostPort,
    pub(super) weight: u32,
    pub(super) max_connections: Option<u32>,
}

impl FromStr for BackendAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let address = parts.next().unwrap_or_default();
        let mut backend = Self {
            address: backend_address(address)?,
            weight: 1,
            max_connections: None,
        };
        for part in parts {
            match part.split_once('=') {
                Some(("weight", n)) => backend.weight = weight(n)?,
                Some(("max", n)) => backend.max_connections = Some(max_connections(n)?),
                _ => {
                    return Err(format!(
                        "expected HOST:PORT[,weight=N][,max=N], got {part:?} in {text:?}"
                    ));
                }
            }
        }
        Ok(backend)
    }
}

/// A port that can be connected to: 0 cannot.
fn backend_address(text: &str) -> Result<HostPort, String> {
    let address: HostPort = text.parse().map_err(|error| format!("{error}"))?;
    if address.port() == 0 {
        return Err(format!("expected a port from 1 to 65535, got {text:?}"));
    }
    Ok(address)
}

fn weight(text: &str) -> Result<u32, String> {
    number(text, 1, MAX_WEIGHT).map_err(|error| format!("weight: {error}"))
}

fn max_connections(text: &str) -> Result<u32, String> {
    number(text, 1, u32::MAX).map_err(|error| format!("max connections: {error}"))
}

impl<'de> Deserialize<'de> for BackendAt {
    /// From the text of the command line, or from a table.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            address: String,
            weight: Option<i64>,
            max_connections: Option<i64>,
        }

        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = BackendAt;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("HOST:PORT, or { address, weight, max_connections }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<BackendAt, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<BackendAt, A::Error> {
                let table = Table::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                let read = || {
                    let weight = table.weight.map(|n| weight(&n.to_string())).transpose()?;
                    let max = table.max_connections.map(|n| n.to_string());
                    Ok(BackendAt {
                        address: backend_address(&table.address)?,
                        weight: weight.unwrap_or(1),
                        max_connections: max.map(|n| max_connections(&n)).transpose()?,
                    })
                };
                read().map_err(|error: String| A::Error::custom(error))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends() {
        let backend: BackendAt = "[::1]:80,weight=3,max=100".parse().unwrap();
        assert_eq!(backend.address.to_string(), "[::1]:80");
        assert_eq!((backend.weight, backend.max_connections), (3, Some(100)));
        for (bad, names) in [
            ("localhost", "HOST:PORT"),
            ("localhost:0", "1 to 65535"),
            ("a:1,weight=0", "1 to 256"),
            ("a:1,weight=257", "1 to 256"),
            ("a:1,max=0", "at least 1"),
            ("a:1,wait=1", "weight=N"),
            ("a:1,", "weight=N"),
        ] {
            let error = bad.parse::<BackendAt>().unwrap_err();
            assert!(error.contains(names), "{bad}: {error}");
        }
    }
}
