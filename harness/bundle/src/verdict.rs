//! The judgement: `verdict.json`, which also seals the other files of the bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::finding::Finding;
use crate::key::Key;
use crate::session::Size;

/// Version of `verdict.json`. It grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// What was found, how surely, and of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What and who.
    pub finding: Finding,
    /// Findings with the same one are one.
    pub key: Key,
    /// The connection of `session.bin` that is taken for the one that killed, by its number;
    /// `input.bin` holds its bytes.
    pub killer: u64,
    /// How often it failed when it was sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Seen>,
    /// What minimising made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimized: Option<Smaller>,
    /// Every other file, by name.
    pub files: BTreeMap<String, Content>,
    /// A digest of all of the above.
    pub seal: String,
}

/// k of n tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Tries that failed in the same way.
    pub failed: u32,
    /// All tries.
    pub tried: u32,
}

impl Seen {
    /// Whether it fails sometimes only.
    #[must_use]
    pub fn is_flaky(self) -> bool {
        (1..self.tried).contains(&self.failed)
    }
}

/// A smaller session that does the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smaller {
    /// How small.
    pub size: Size,
    /// The numbers of the connections that are left.
    pub connections: Vec<u64>,
    /// Whether nothing can be taken out of it any more.
    pub is_minimal: bool,
    /// How many sessions were sent to find it.
    pub tries: u64,
    /// The same digest is the same finding.
    pub digest: String,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// Its length.
    pub bytes: u64,
    /// Its XXH3 digest of 128 bits, in hexadecimal digits.
    pub xxh3_128: String,
}

impl Content {
    /// What these bytes are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            xxh3_128: format!("{:032x}", xxh3_128(bytes)),
        }
    }
}

impl Verdict {
    /// A verdict that nobody has repeated yet.
    #[must_use]
    pub fn new(finding: Finding, key: Key, killer: u64) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            finding,
            key,
            killer,
            repeats: None,
            minimized: None,
            files: BTreeMap::new(),
            seal: String::new(),
        }
    }

    /// What [`Verdict::seal`] must be. It protects against cuts and careless edits, not
    /// against somebody who means harm.
    #[must_use]
    pub fn expected_seal(&self) -> String {
        let unsealed = Self {
            seal: String::new(),
            ..self.clone()
        };
        let json = serde_json::to_vec(&unsealed).expect("plain data is always JSON");
        format!("{:032x}", xxh3_128(&json))
    }
}
