//! The ways in which this process dies or stops for ever, for real.

use rustix::process::Signal;
use service::signals::Stop;

/// The address that the recorded crash stumbled over.
const RECORDED_ADDRESS: usize = 0x0b01_dfac_edeb_ac1e;

/// Reads memory that is not there. The kernel answers with SIGSEGV.
#[expect(
    unsafe_code,
    reason = "a planted crash must be the signal's own cause, not a raise()"
)]
pub(crate) fn segfault() -> ! {
    let nowhere = std::ptr::without_provenance::<u8>(RECORDED_ADDRESS);
    // SAFETY: this is not sound and is not meant to be: the process ends here. A volatile
    // read is one that the compiler leaves in.
    let byte = unsafe { std::ptr::read_volatile(nowhere) };
    unreachable!("read {byte} from an address that no process can have")
}

/// Never runs this thread again. SIGTERM and SIGINT get their default action back, so
/// that they end the process although nobody in it listens any more.
pub(crate) fn hang() -> ! {
    default_signals();
    loop {
        std::thread::park();
    }
}

/// Ends a process that hangs by the signal that it was sent, which came just before the
/// default action was back.
pub(crate) fn die_of(stop: Stop) -> ! {
    default_signals();
    let signal = match stop {
        Stop::Terminate => Signal::TERM,
        Stop::Interrupt => Signal::INT,
    };
    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
    hang();
}

#[expect(
    unsafe_code,
    reason = "nothing that we depend on resets a signal's action"
)]
fn default_signals() {
    // SAFETY: the default action is no code of ours, so there is nothing that could run
    // at a wrong moment.
    unsafe {
        libc::signal(libc::SIGTERM, libc::SIG_DFL);
        libc::signal(libc::SIGINT, libc::SIG_DFL);
    }
}
