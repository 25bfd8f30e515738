//! How much memory this process has asked its allocator for: the system's allocator, with
//! a count of what passes through.
//!
//! Workers allocate nothing for each message, so that counting costs the traffic nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Threads count in one of so many places, so that they do not fight over one cache line.
const SHARDS: usize = 16;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: [Shard; SHARDS] = [const { Shard::new() }; SHARDS];
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // Constant and without a destructor: reading it allocates nothing and always works.
    static SHARD: Cell<usize> = const { Cell::new(SHARDS) };
}

/// What was counted since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocations {
    /// Allocations; one that was resized counts as a new one.
    pub(crate) mallocs: u64,
    /// Those given back; likewise.
    pub(crate) frees: u64,
    /// Bytes of all of them.
    pub(crate) allocated_bytes: u64,
    /// Bytes given back.
    pub(crate) freed_bytes: u64,
}

impl Allocations {
    /// The sums over all threads at this moment.
    pub(crate) fn now() -> Self {
        let mut sum = Self::default();
        // What was given back first: it never exceeds what was allocated then.
        for shard in &COUNTS {
            sum.frees += shard.frees.load(Ordering::Acquire);
            sum.freed_bytes += shard.freed_bytes.load(Ordering::Acquire);
        }
        for shard in &COUNTS {
            sum.mallocs += shard.mallocs.load(Ordering::Relaxed);
            sum.allocated_bytes += shard.allocated_bytes.load(Ordering::Relaxed);
        }
        sum
    }

    /// Bytes that are allocated now.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.allocated_bytes.saturating_sub(self.freed_bytes)
    }

    /// Allocations that there are now.
    pub(crate) fn live(&self) -> u64 {
        self.mallocs.saturating_sub(self.frees)
    }
}

#[repr(align(128))]
struct Shard {
    mallocs: AtomicU64,
    frees: AtomicU64,
    allocated_bytes: AtomicU64,
    freed_bytes: AtomicU64,
}

impl Shard {
    const fn new() -> Self {
        Self {
            mallocs: AtomicU64::new(0),
            frees: AtomicU64::new(0),
            allocated_bytes: AtomicU64::new(0),
            freed_bytes: AtomicU64::new(0),
        }
    }

    fn of_thread() -> &'static Self {
        let nth = SHARD.try_with(|shard| {
            if shard.get() == SHARDS {
                shard.set(THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS);
            }
            shard.get()
        });
        &COUNTS[nth.unwrap_or(0)]
    }

    fn allocated(&self, bytes: usize) {
        self.mallocs.fetch_add(1, Ordering::Relaxed);
        self.allocated_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn freed(&self, bytes: usize) {
        self.frees.fetch_add(1, Ordering::Release);
        self.freed_bytes.fetch_add(bytes as u64, Ordering::Release);
    }
}

struct Counting;

// SAFETY: every call goes on to the system's allocator as it came.
#[expect(unsafe_code, reason = "an allocator that counts has no safe form")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let memory = unsafe { System.alloc(layout) };
        if !memory.is_null() {
            Shard::of_thread().allocated(layout.size());
        }
        memory
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let memory = unsafe { System.alloc_zeroed(layout) };
        if !memory.is_null() {
            Shard::of_thread().allocated(layout.size());
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) };
        Shard::of_thread().freed(layout.size());
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        let resized = unsafe { System.realloc(memory, layout, size) };
        if !resized.is_null() {
            let shard = Shard::of_thread();
            shard.allocated(size);
            shard.freed(layout.size());
        }
        resized
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_and_given_back_is_counted() {
        let size = 10_000_000;
        let before = Allocations::now();
        let memory = vec![1_u8; size];
        let between = Allocations::now();
        assert!(between.mallocs > before.mallocs);
        assert!(between.allocated_bytes >= before.allocated_bytes + size as u64);
        drop(memory);
        let after = Allocations::now();
        assert!(after.frees > between.frees);
        assert!(after.freed_bytes >= between.freed_bytes + size as u64);
        assert!(after.live() > 0 && after.live_bytes() > 0);
    }
}
