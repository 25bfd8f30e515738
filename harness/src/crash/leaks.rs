//! Whether a process keeps more and more: judged from what it had before any load and after
//! each.

use bundle::Resource;
use report::event::Sample;

/// Memory must have grown to so many times what it was …
const MEMORY_TIMES: f64 = 1.5;

/// … and by this much: less may be a buffer that is kept for the next connection.
const MEMORY_BYTES: u64 = 16 << 20;

/// Descriptors or threads that must be more: fewer may be one that is only made when it is
/// first needed, and a connection that is about to end.
const LEAST_COUNT: u64 = 4;

/// Of what was kept after the first load, at least 1/4 must be added by the second.
const AGAIN: u64 = 4;

/// Memory that a second load must add at least.
const MEMORY_AGAIN_BYTES: u64 = 4 << 20;

/// Growth during a load that ends it, so that what leaks does not take the machine along.
const MOST_MEMORY_BYTES: u64 = 512 << 20;

/// The same for descriptors and threads.
const MOST_COUNT: u64 = 1_000;

/// What a process has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub memory: u64,
    /// File descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
}

impl From<Sample> for Usage {
    fn from(sample: Sample) -> Self {
        Self {
            memory: sample.resident_bytes,
            descriptors: sample.descriptors,
            threads: sample.threads,
        }
    }
}

impl Usage {
    fn of(self, resource: Resource) -> u64 {
        match resource {
            Resource::Memory => self.memory,
            Resource::Descriptors => self.descriptors,
            Resource::Threads => self.threads,
        }
    }
}

/// In the order in which they are named, if there are several: the first is most telling.
const ALL: [Resource; 3] = [Resource::Descriptors, Resource::Threads, Resource::Memory];

/// What is known of one process.
#[derive(Clone, Copy, Debug)]
pub struct Leaks {
    before: Usage,
    after_first: Option<Usage>,
}

/// What a look after a load says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing is kept.
    Fine,
    /// Something is kept; another load will show whether more is.
    Suspicious,
    /// More of this is kept with each load.
    Leaked(Resource, String),
}

impl Leaks {
    /// Of a process that has this before any load.
    #[must_use]
    pub fn new(before: Usage) -> Self {
        Self {
            before,
            after_first: None,
        }
    }

    /// Whether it has more than it should have when a load is over.
    #[must_use]
    pub fn is_above(&self, now: Usage) -> bool {
        ALL.into_iter().any(|resource| match self.after_first {
            None => self.is_more(resource, now),
            Some(first) => self.is_more_again(resource, first, now),
        })
    }

    /// Whether it has so much more that the load should end at once.
    #[must_use]
    pub fn is_too_much(&self, now: Usage) -> bool {
        let base = self.after_first.unwrap_or(self.before);
        let more = |resource: Resource| now.of(resource).saturating_sub(base.of(resource));
        more(Resource::Memory) > MOST_MEMORY_BYTES
            || more(Resource::Descriptors) > MOST_COUNT
            || more(Resource::Threads) > MOST_COUNT
    }

    /// What it has after a load, when it has had the time to give back what it can.
    pub fn look(&mut self, now: Usage) -> Look {
        let Some(first) = self.after_first else {
            if !self.is_above(now) {
                return Look::Fine;
            }
            self.after_first = Some(now);
            return Look::Suspicious;
        };
        let leaked = ALL
            .into_iter()
            .find(|resource| self.is_more_again(*resource, first, now));
        match leaked {
            Some(resource) => {
                let [before, first, now] =
                    [self.before, first, now].map(|usage| usage.of(resource));
                let unit = match resource {
                    Resource::Memory => "bytes of memory",
                    Resource::Descriptors => "descriptors",
                    Resource::Threads => "threads",
                };
                let detail = format!(
                    "{before} {unit} before any load, {first} after one, {now} after another"
                );
                Look::Leaked(resource, detail)
            }
            None => {
                // What it took once it may keep: that is how it is from now on.
                *self = Self::new(now);
                Look::Fine
            }
        }
    }

    fn is_more(&self, resource: Resource, now: Usage) -> bool {
        let (before, now) = (self.before.of(resource), now.of(resource));
        match resource {
            Resource::Memory => {
                now as f64 >= before as f64 * MEMORY_TIMES && now >= before + MEMORY_BYTES
            }
            _ => now >= before + LEAST_COUNT,
        }
    }

    fn is_more_again(&self, resource: Resource, first: Usage, now: Usage) -> bool {
        let kept = first.of(resource).saturating_sub(self.before.of(resource));
        let least = match resource {
            Resource::Memory => MEMORY_AGAIN_BYTES,
            _ => LEAST_COUNT,
        };
        let was_more = self.is_more(resource, first);
        was_more && now.of(resource) >= first.of(resource) + least.max(kept / AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn usage(memory: u64, descriptors: u64, threads: u64) -> Usage {
        Usage {
            memory: memory * MIB,
            descriptors,
            threads,
        }
    }

    fn story(all: &[Usage]) -> Vec<Look> {
        let mut leaks = Leaks::new(all[0]);
        all[1..].iter().map(|now| leaks.look(*now)).collect()
    }

    fn leaked(looks: &[Look]) -> Option<Resource> {
        match looks.last() {
            Some(Look::Leaked(resource, _)) => Some(*resource),
            _ => None,
        }
    }

    #[test]
    fn what_grows_with_each_load_is_a_leak() {
        let memory = [usage(10, 5, 2), usage(40, 5, 2), usage(70, 5, 2)];
        assert_eq!(leaked(&story(&memory)), Some(Resource::Memory));
        let descriptors = [usage(10, 5, 2), usage(10, 105, 2), usage(10, 190, 2)];
        assert_eq!(leaked(&story(&descriptors)), Some(Resource::Descriptors));
        let threads = [usage(10, 5, 2), usage(10, 5, 12), usage(10, 5, 22)];
        assert_eq!(leaked(&story(&threads)), Some(Resource::Threads));
    }

    #[test]
    fn what_is_kept_once_is_none() {
        let once = [
            usage(10, 5, 2),
            usage(90, 50, 20),
            usage(91, 52, 20),
            usage(92, 50, 20),
        ];
        assert_eq!(story(&once), [Look::Suspicious, Look::Fine, Look::Fine]);
        let little = [usage(10, 5, 2), usage(20, 7, 4), usage(25, 8, 5)];
        assert_eq!(story(&little), [Look::Fine, Look::Fine]);
        // 30 % of a large memory is no half of it.
        let large = [usage(1_000, 5, 2), usage(1_300, 5, 2)];
        assert_eq!(story(&large), [Look::Fine]);
    }
}
