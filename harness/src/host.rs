//! What machine this is, and what time.

use std::fs;

use report::event::Host;
use xxhash_rust::xxh3::xxh3_64;

/// This machine, as far as figures depend on it.
#[must_use]
pub fn describe() -> Host {
    let uname = rustix::system::uname();
    let words = [uname.sysname(), uname.release(), uname.machine()];
    Host {
        cpu: cpu().unwrap_or_else(|| uname.machine().to_string_lossy().into_owned()),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        kernel: words.map(std::ffi::CStr::to_string_lossy).join(" "),
        memory_bytes: memory_bytes().unwrap_or(0),
        machine: machine(),
    }
}

/// A hash of the machine's own number, which itself is nobody else's business.
fn machine() -> Option<String> {
    let id = fs::read_to_string("/etc/machine-id").ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| format!("{:016x}", xxh3_64(id.as_bytes())))
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .ok()?
            * 1024,
    )
}

/// A seed that nobody chose, of 53 bits, so that every JSON reader keeps it whole.
#[must_use]
pub fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let chance = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    crate::plan::split(chance, "seed")
}

/// `20261121-064512` for a time in milliseconds since 1970, in UTC.
#[must_use]
pub fn stamp(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = service::clock::date(days);
    format!(
        "{year:04}{month:02}{day:02}-{:02}{:02}{:02}",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_dates() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(951_782_400_000), "20000229-000000");
        assert_eq!(stamp(1_795_243_512_999), "20261121-064512");
    }

    #[test]
    fn this_machine_is_described() {
        let host = describe();
        assert!(
            host.cores > 0 && host.memory_bytes > 0 && !host.cpu.is_empty(),
            "{host:?}"
        );
        assert!(host.kernel.starts_with("Linux "), "{host:?}");
    }
}
