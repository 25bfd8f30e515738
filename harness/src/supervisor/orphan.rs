//! Processes that other processes of ours leave behind: the successor of a proxy that was
//! upgraded. When its parent ends, it becomes a child of this process, which has said that
//! it takes orphans in, and its end can be seen like that of any child.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

/// Between two attempts to learn how a process ended whose parent has yet to end.
const PAUSE: Duration = Duration::from_millis(5);

/// Attempts: whoever is to reap it instead has had the time to.
const ATTEMPTS: u32 = 200;

/// The code of a process of which only its end is known.
const UNKNOWN: i32 = 255;

/// Has orphans below this process become its children.
///
/// # Errors
/// That the kernel refuses.
pub fn adopt() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

/// Waits until the process is gone; says how it ended. Blocks.
#[must_use]
pub fn wait(pid: u32) -> ExitStatus {
    let unknown = ExitStatus::from_raw(UNKNOWN << 8);
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(pid) = raw else { return unknown };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return status(pid).unwrap_or(unknown);
    };
    loop {
        let mut fds = [PollFd::new(&process, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            _ => break,
        }
    }
    for _ in 0..ATTEMPTS {
        if let Some(status) = status(pid) {
            return status;
        }
        std::thread::sleep(PAUSE);
    }
    unknown
}

/// Takes note of orphans of a process group that have ended, so that the kernel can forget
/// them. Nobody else may be waiting for a process of that group.
pub fn reap(group: u32) {
    let raw = i32::try_from(group).ok().and_then(Pid::from_raw);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    while let Ok(Some(_)) = waitid(WaitId::Pgid(raw), options) {}
}

/// How an ended child ended.
fn status(pid: Pid) -> Option<ExitStatus> {
    let waited = waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    );
    let status = waited.ok()??;
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code << 8,
        (_, Some(signal)) => signal,
        _ => return None,
    };
    Some(ExitStatus::from_raw(raw))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[expect(
        clippy::zombie_processes,
        reason = "to be waited for otherwise is the test"
    )]
    fn the_end_of_a_child_is_seen_with_its_cause() {
        for (script, code, signal) in [("exit 7", Some(7), None), ("kill -SEGV $$", None, Some(11))]
        {
            let child = Command::new("/bin/sh")
                .args(["-c", script])
                .spawn()
                .unwrap();
            let status = wait(child.id());
            assert_eq!((status.code(), status.signal()), (code, signal), "{script}");
        }
    }

    #[test]
    fn of_a_stranger_only_its_end_is_known() {
        assert_eq!(wait(u32::MAX).code(), Some(UNKNOWN));
    }
}
