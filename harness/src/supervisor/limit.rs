//! What a running process may use: changed, and put back.

use std::io;

use report::event::Limits;
use rustix::process::{Pid, Resource, Rlimit};

/// Changes what a running process may use, as far as it is told; gives what it might use
/// before. The hard limits stay, so that this can be undone by anybody.
///
/// # Errors
/// That the system does not allow it, or that the process is gone.
pub fn limit(pid: u32, limits: Limits) -> io::Result<Limits> {
    let said = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let set = |resource, name: &str, most: Option<u64>| -> io::Result<Option<u64>> {
        let Some(most) = most else { return Ok(None) };
        let maximum = hard(&said, name);
        let wanted = Rlimit {
            // There is no such number of anything: it stands for none.
            current: Some(most).filter(|most| *most != u64::MAX),
            maximum,
        };
        let whom = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let before = rustix::process::prlimit(whom, resource, wanted)?;
        Ok(Some(before.current.unwrap_or(u64::MAX)))
    };
    Ok(Limits {
        descriptors: set(Resource::Nofile, "Max open files", limits.descriptors)?,
        memory_bytes: set(Resource::As, "Max address space", limits.memory_bytes)?,
    })
}

/// A hard limit, as the kernel tells it; none if there is none.
fn hard(said: &str, name: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_put_back() {
        // A process of its own: this one has other tests in it.
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let wanted = Limits {
            descriptors: Some(40),
            memory_bytes: Some(1 << 30),
        };
        let before = limit(child.id(), wanted).unwrap();
        let path = format!("/proc/{}/limits", child.id());
        let said = std::fs::read_to_string(&path).unwrap();
        let soft = |name: &str| {
            let line = said
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            line.split_whitespace().next().unwrap().to_owned()
        };
        assert_eq!(soft("Max open files"), "40");
        assert_eq!(soft("Max address space"), (1_u64 << 30).to_string());
        assert_eq!(limit(child.id(), before).unwrap(), wanted);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(limit(child.id(), wanted).is_err());
    }
}
