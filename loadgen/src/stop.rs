//! Ending a run early: a flag that workers look at, set by SIGINT or SIGTERM.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use service::clock::mono_ns;
use service::signals::{Stop, StopSignals};

/// When to stop, shared by all threads of a run.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicU64>);

impl StopFlag {
    /// Asks to stop now. Only the first request counts.
    pub fn set(&self) {
        let _ = self
            .0
            .compare_exchange(0, mono_ns(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// When it was asked to stop, in monotonic nanoseconds.
    #[inline]
    #[must_use]
    pub fn at(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    /// Whether it was asked to stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.at().is_some()
    }
}

/// Sets `flag` at the first SIGINT or SIGTERM and tells which it was; the second ends
/// the process at once. The thread waits for signals for as long as the process lives.
///
/// # Errors
/// That a thread or a signal handler could not be had.
pub fn on_signals(flag: StopFlag) -> io::Result<std::sync::mpsc::Receiver<Stop>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signals = {
        let _within = runtime.enter();
        StopSignals::listen()?
    };
    let (tell, which) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let first = runtime.block_on(signals.next());
            let _ = tell.send(first);
            flag.set();
            let second = runtime.block_on(signals.next());
            std::process::exit(second.exit_code().into());
        })?;
    Ok(which)
}
