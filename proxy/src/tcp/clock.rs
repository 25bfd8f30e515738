//! The clock of backends and pools: milliseconds, the same for every thread.

/// Milliseconds of the monotonic clock, as workers read it.
pub(super) fn now_ms() -> u64 {
    service::clock::mono_ns() / 1_000_000
}
