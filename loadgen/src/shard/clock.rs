//! How far the wall clock can be trusted.

use crate::record::WallClock;

/// What the kernel says of the wall clock. Nothing is known if nobody disciplines it.
pub(super) fn wall_clock() -> WallClock {
    let Some((state, clock)) = adjtimex() else {
        return WallClock::default();
    };
    if state == libc::TIME_ERROR || clock.status & libc::STA_UNSYNC != 0 {
        return WallClock::default();
    }
    WallClock {
        synchronised: true,
        max_error_us: u64::try_from(clock.maxerror).ok(),
        estimated_error_us: u64::try_from(clock.esterror).ok(),
    }
}

#[expect(unsafe_code, reason = "rustix does not know adjtimex")]
fn adjtimex() -> Option<(libc::c_int, libc::timex)> {
    // SAFETY: a timex is plain integers, for which zeros are a value; all its modes off,
    // nothing is set, and the kernel fills in what is valid for as long as the call lasts.
    let (state, clock) = unsafe {
        let mut clock: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut clock), clock)
    };
    (state >= 0).then_some((state, clock))
}
