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
