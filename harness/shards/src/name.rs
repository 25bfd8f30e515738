//! What the file of a shard's record is called: `shard-0007-of-1000.json`.

use std::path::Path;

/// The name of the record of shard `index` of `count`, both as wide as `count`, so that
/// names sort as numbers do.
#[must_use]
pub fn of(index: u64, count: u64) -> String {
    let width = count.to_string().len();
    format!("shard-{index:0width$}-of-{count}.json")
}

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
    use super::*;

    #[test]
    fn names_are_written_and_read() {
        assert_eq!(of(7, 1_000), "shard-0007-of-1000.json");
        assert_eq!(of(2, 4), "shard-2-of-4.json");
        assert_eq!(
            parse(Path::new("a/shard-0007-of-1000.json")),
            Some((7, 1_000))
        );
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
