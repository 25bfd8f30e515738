//! A place on a backend.

use std::ops::Deref;
use std::sync::Arc;

use crate::backend::Backend;

/// One connection of a backend, open or being dialled; dropping it ends that.
#[derive(Debug)]
#[must_use = "dropping the lease gives the place on the backend back"]
pub struct Lease {
    backend: Arc<Backend>,
}

impl Lease {
    /// Takes a place unless the backend's limit or `bound` connections are reached.
    pub(crate) fn take(backend: &Arc<Backend>, bound: u32) -> Option<Self> {
        backend.add_active(bound).then(|| Self {
            backend: Arc::clone(backend),
        })
    }

    /// The backend that it is a place on.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }
}

impl Deref for Lease {
    type Target = Backend;

    fn deref(&self) -> &Backend {
        &self.backend
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.backend.remove_active();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::spec::{BackendSpec, HealthPolicy};

    #[test]
    fn threads_together_get_exactly_as_many_places_as_there_are() {
        for (limit, bound, places) in [(Some(70), 100, 70), (Some(100), 70, 70), (None, 70, 70)] {
            let spec = BackendSpec {
                name: "b".to_owned(),
                addr: ([127, 0, 0, 1], 1_000).into(),
                weight: 1,
                max_connections: limit,
            };
            let backend = Backend::new(spec, HealthPolicy::default());
            let grab = || {
                (0..50)
                    .filter_map(|_| Lease::take(&backend, bound))
                    .collect()
            };
            let leases: Vec<Vec<Lease>> = thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(grab)).collect();
                let joined = threads.into_iter().map(|thread| thread.join().unwrap());
                joined.collect()
            });
            assert_eq!(leases.iter().flatten().count(), places);
            assert_eq!(backend.active(), 70);
            drop(leases);
            assert_eq!(backend.active(), 0);
        }
    }
}
