//! What a process and its descendants use, from `/proc`.

use std::collections::BTreeSet;
use std::fs;

use report::event::Sample;

/// Processes of a tree that are looked at: far more than any proxy's workers, and a
/// bound should somebody fork without end.
const MAX_PROCESSES: usize = 512;

/// Looks at the process trees below `pids`; none if all of them are gone.
#[must_use]
pub fn sample(pids: &[u32]) -> Option<Sample> {
    let mut sum = Sample::default();
    for pid in trees(pids) {
        let Some(status) = fs::read_to_string(format!("/proc/{pid}/status")).ok() else {
            continue;
        };
        // A zombie has a status, but no memory.
        let Some(resident) = kib(&status, "VmRSS:") else {
            continue;
        };
        sum.processes += 1;
        sum.resident_bytes += resident;
        sum.peak_bytes += kib(&status, "VmHWM:").unwrap_or(resident);
        sum.threads += field(&status, "Threads:")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        sum.descriptors +=
            fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64);
        sum.cpu_ns += process_cpu_ns(pid);
    }
    (sum.processes > 0).then_some(sum)
}

/// CPU time of the process trees below `pids`.
#[must_use]
pub fn cpu_ns(pids: &[u32]) -> u64 {
    trees(pids).into_iter().map(process_cpu_ns).sum()
}

/// CPU time of one process.
#[must_use]
pub fn cpu_ns_of(pid: u32) -> u64 {
    process_cpu_ns(pid)
}

/// All of these processes and their descendants, each once.
fn trees(pids: &[u32]) -> BTreeSet<u32> {
    pids.iter().flat_map(|pid| tree(*pid)).collect()
}

/// The children of `pid`, of all its threads.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let of_thread = |thread| {
        let path = format!("/proc/{pid}/task/{thread}/children");
        fs::read_to_string(path).unwrap_or_default()
    };
    let lists: Vec<String> = threads(pid).into_iter().map(of_thread).collect();
    let numbers = lists.iter().flat_map(|list| list.split_whitespace());
    numbers.filter_map(|child| child.parse().ok()).collect()
}

/// `pid` and its descendants.
fn tree(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while next < found.len() && found.len() < MAX_PROCESSES {
        let below = children(found[next]);
        found.extend(below);
        next += 1;
    }
    found.truncate(MAX_PROCESSES);
    found
}

fn threads(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The scheduler's own account of each thread, in nanoseconds; the ticks of `stat` are
/// too coarse for the cost of a message. It forgets threads that have ended, `stat` does
/// not: the larger of both is nearer to the truth.
fn process_cpu_ns(pid: u32) -> u64 {
    let of_thread = |thread: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    let scheduled: u64 = threads(pid).into_iter().filter_map(of_thread).sum();
    scheduled.max(ticks_ns(pid).unwrap_or(0))
}

/// User and system time by the clock's ticks, rounded down by up to a tick each.
fn ticks_ns(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets included.
    let fields: Vec<&str> = stat
        .get(stat.rfind(')')? + 2..)?
        .split_whitespace()
        .collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second())
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let number = field(status, name)?.trim_end_matches("kB").trim();
    number.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let seen = sample(&[std::process::id()]).unwrap();
        assert!(
            seen.processes >= 1 && seen.threads >= 1 && seen.descriptors >= 3,
            "{seen:?}"
        );
        assert!(
            seen.resident_bytes > 0 && seen.peak_bytes >= seen.resident_bytes,
            "{seen:?}"
        );
        assert!(seen.cpu_ns > 0);
    }

    #[test]
    fn children_belong_to_the_tree() {
        let before = tree(std::process::id()).len();
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert!(tree(std::process::id()).contains(&child.id()));
        assert!(before >= 1);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_is_gone_has_no_sample() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(sample(&[child.id()]), None);
    }
}
