//! What the kernel knows of a process.

use std::fs;
use std::time::Duration;

/// A field of `/proc/PID/status` in KiB, such as `VmRSS`.
#[must_use]
pub fn status_kib(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let line = status
        .lines()
        .find(|line| line.starts_with(field))
        .expect("a known field");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}

/// Whether some process listens on this IPv4 address.
#[must_use]
pub fn is_listening(addr: &str) -> bool {
    const LISTEN: &str = "0A";
    let addr: std::net::SocketAddrV4 = addr.parse().expect("an address");
    let ip = u32::from_ne_bytes(addr.ip().octets());
    let local = format!("{ip:08X}:{:04X}", addr.port());
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1) == Some(&local.as_str()) && fields.get(3) == Some(&LISTEN)
    })
}

/// CPU time that all threads of a process have used.
#[must_use]
pub fn cpu(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a live process");
    let of_task = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace()
            .next()
            .and_then(|ns| ns.parse().ok())
            .unwrap_or(0)
    };
    Duration::from_nanos(tasks.flatten().map(of_task).sum())
}

/// Live processes that have `HARNESS_TEST_MARK` set to this in their environment.
#[must_use]
pub fn marked(mark: &str) -> Vec<u32> {
    let entry = format!("HARNESS_TEST_MARK={mark}");
    let processes = fs::read_dir("/proc").expect("the list of processes");
    let pids = processes
        .flatten()
        .filter_map(|p| p.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        // A process may end while it is looked at; one that has ended has no environment.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == entry.as_bytes())
    })
    .collect()
}
