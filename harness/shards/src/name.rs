//! What the name of a file says: `shard-0007-of-1000.json`, see [`Shard::file_name`].
//!
//! [`Shard::file_name`]: loadgen::record::Shard::file_name

use std::path::Path;

/// Which shard of how many a file says in its name that it holds; none if it is no shard's.
#[must_use]
pub fn parse(path: &Path) -> Option<(u64, u64)> {
    let name = path.file_name()?.to_str()?;
    let (index, count) = name
        .strip_prefix("shard-")?
        .strip_suffix(".json")?
        .split_once("-of-")?;
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    Some((number(index)?, number(count)?))
}

#[cfg(test)]
mod tests {
    use loadgen::record::Shard;

    use super::*;

    #[test]
    fn names_that_are_written_are_read() {
        for (index, count) in [(7, 1_000), (2, 4), (0, 1)] {
            let path = Path::new("a").join(Shard::file_name(index, count));
            assert_eq!(parse(&path), Some((index, count)));
        }
        for other in [
            "run.json",
            "shard-1-of-4.json.partial",
            ".shard-1-of-4.json",
            "shard-1-of-4.log",
            "shard-+1-of-4.json",
            "shard-1.json",
            "shard--of-4.json",
        ] {
            assert_eq!(parse(Path::new(other)), None, "{other}");
        }
    }
}
