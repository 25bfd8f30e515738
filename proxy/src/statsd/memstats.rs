//! `memstats`: this process's memory under the twelve names of the original's answer.
//!
//! The original printed what the Go runtime knows of its heap. Here the same names stand
//! for the nearest thing that is true of this process:
//!
//! | name | what it is here |
//! | --- | --- |
//! | bytes allocated and in use | asked of the allocator and not given back |
//! | bytes allocated total | asked of the allocator since the start |
//! | bytes obtained from system | private writable memory: heap, stacks, buffers (`statm`, data) |
//! | number of pointer lookups | 0: this allocator looks none up |
//! | number of mallocs, of frees | calls to the allocator since the start |
//! | bytes allocated and still in use | as the first |
//! | bytes obtained from system | of those, the allocator's heap (`mallinfo2`) |
//! | bytes in idle spans | of the heap, free (`mallinfo2`) |
//! | bytes in non-idle span | of the heap, in use, the allocator's own overhead included |
//! | bytes released to the OS | of the main heap, without memory behind it now (`smaps`) |
//! | total number of allocated objects | mallocs that were not freed |

use std::fmt::Write;
use std::fs;

use crate::allocations::Allocations;

/// The twelve lines.
pub(super) fn text() -> String {
    let asked = Allocations::now();
    let heap = Heap::now();
    let lines = [
        ("bytes allocated and in use", asked.live_bytes()),
        ("bytes allocated total", asked.allocated_bytes),
        ("bytes obtained from system", private_bytes()),
        ("number of pointer lookups", 0),
        ("number of mallocs", asked.mallocs),
        ("number of frees", asked.frees),
        ("bytes allocated and still in use", asked.live_bytes()),
        ("bytes obtained from system", heap.idle + heap.used),
        ("bytes in idle spans", heap.idle),
        ("bytes in non-idle span", heap.used),
        ("bytes released to the OS", released_bytes()),
        ("total number of allocated objects", asked.live()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}

/// What the allocator has from the system.
struct Heap {
    idle: u64,
    used: u64,
}

impl Heap {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "no safe binding has mallinfo2")]
    fn now() -> Self {
        // SAFETY: it takes nothing and only reads.
        let info = unsafe { libc::mallinfo2() };
        Self {
            idle: info.fordblks as u64,
            used: (info.uordblks + info.hblkhd) as u64,
        }
    }

    /// Where the allocator does not tell, what was asked of it is all that is known.
    #[cfg(not(target_env = "gnu"))]
    fn now() -> Self {
        Self {
            idle: 0,
            used: Allocations::now().live_bytes(),
        }
    }
}

/// The sixth number of `/proc/self/statm`, in pages: writable memory of our own.
fn private_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(5);
    let pages: u64 = pages.and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// Of the main heap, what is neither in memory nor swapped out.
fn released_bytes() -> u64 {
    released_of(&fs::read_to_string("/proc/self/smaps").unwrap_or_default())
}

fn released_of(smaps: &str) -> u64 {
    let mut lines = smaps.lines().skip_while(|line| !line.ends_with("[heap]"));
    lines.next();
    // The fields up to the next mapping, which begins with its addresses.
    let fields = lines.map_while(|line| {
        let (name, value) = line.split_once(':')?;
        let kib = value.trim().strip_suffix("kB").map(str::trim);
        (!name.contains(' ')).then_some((name, kib.and_then(|kib| kib.parse::<u64>().ok())))
    });
    let (mut size, mut present) = (0, 0);
    for (name, kib) in fields {
        match name {
            "Size" => size = kib.unwrap_or(0),
            "Rss" | "Swap" => present += kib.unwrap_or(0),
            _ => {}
        }
    }
    size.saturating_sub(present) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_the_twelve_lines_and_they_agree() {
        let text = text();
        let values: Vec<(&str, u64)> = text
            .lines()
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name, value.parse().unwrap()))
            .collect();
        assert_eq!(values.len(), 12, "{text}");
        let value = |nth: usize| values[nth].1;
        assert_eq!(values[2].0, values[7].0);
        assert_eq!(value(3), 0);
        assert_eq!(value(7), value(8) + value(9));
        assert_eq!(value(11), value(4) - value(5));
        for nth in [0, 1, 2, 4, 5, 6, 7, 9, 11] {
            assert!(value(nth) > 0, "{text}");
        }
        assert!(value(0) <= value(1) && value(0) <= value(2), "{text}");
    }

    #[test]
    fn what_is_released_is_read_off_the_main_heap() {
        let smaps = "\
55f0-55f1 rw-p 00000000 00:00 0                          [heap]
Size:                132 kB
KernelPageSize:        4 kB
Rss:                 100 kB
Swap:                  2 kB
VmFlags: rd wr mr mw me ac sd
7f00-7f01 rw-p 00000000 00:00 0
Size:               9999 kB
Rss:                   1 kB
";
        assert_eq!(released_of(smaps), 30 * 1024);
        assert_eq!(released_of(""), 0);
    }
}
