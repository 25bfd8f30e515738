//! From a file to the record of a shard, or to what is wrong with it.

use std::fs;
use std::path::Path;

use loadgen::record::{LoadRecord, SCHEMA_VERSION, Shard};
use serde::Deserialize;

use crate::refusal::Why;

/// What every version of the record has.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u64,
}

/// Reads a record, and which shard it says it is.
pub(crate) fn read(path: &Path) -> Result<(LoadRecord, Shard), Why> {
    let bytes = fs::read(path).map_err(|error| Why::Unreadable(error.to_string()))?;
    let record = parse(&bytes)?;
    let Some(shard) = record.shard.clone() else {
        let why = "it is that of a whole run, made without --shard";
        return Err(Why::NotARecord(why.to_owned()));
    };
    if shard.index >= shard.count {
        let why = format!(
            "it says that it is shard {} of {}",
            shard.index, shard.count
        );
        return Err(Why::NotARecord(why));
    }
    Ok((record, shard))
}

fn parse(bytes: &[u8]) -> Result<LoadRecord, Why> {
    let parsed: Result<LoadRecord, _> = serde_json::from_slice(bytes);
    let version = match &parsed {
        Ok(record) => u64::from(record.schema_version),
        // Another version may have other fields: what it is comes before what it lacks.
        Err(_) => serde_json::from_slice(bytes)
            .map_or(u64::from(SCHEMA_VERSION), |one: Versioned| {
                one.schema_version
            }),
    };
    if version != u64::from(SCHEMA_VERSION) {
        return Err(Why::Version(version));
    }
    parsed.map_err(|error| {
        if error.is_eof() {
            Why::Cut { bytes: bytes.len() }
        } else {
            Why::NotARecord(error.to_string())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_is_told_apart() {
        assert_eq!(parse(b"").unwrap_err(), Why::Cut { bytes: 0 });
        let cut = b"{\"schema_version\":1,\"conf";
        assert_eq!(parse(cut).unwrap_err(), Why::Cut { bytes: cut.len() });
        assert_eq!(
            parse(b"{\"schema_version\":7,\"else\":[]}").unwrap_err(),
            Why::Version(7)
        );
        for other in [&b"{\"schema_version\":1}"[..], b"hello", b"[1]"] {
            let why = parse(other).unwrap_err();
            assert!(matches!(why, Why::NotARecord(_)), "{why:?}");
        }
    }
}
