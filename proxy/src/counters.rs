//! What a worker counts. Each counter has one writer, so adding is a load and a store,
//! not a locked instruction; anybody may read.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Single(AtomicU64);

impl Single {
    /// Adds `n`. Only the worker that owns the counter calls this.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares what one worker counts, and the same summed over workers. Aligned so that two
/// workers never write to the same cache line (pairs of lines are fetched together).
macro_rules! counters {
    ($(#[$struct_doc:meta])* $name:ident, $totals:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        $(#[$struct_doc])*
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct $name { $($(#[$doc])* pub(crate) $field: $crate::counters::Single,)* }

        /// The same, read and summed over workers.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $totals { $($(#[$doc])* pub(crate) $field: u64,)* }

        impl $totals {
            pub(crate) fn add(&mut self, counters: &$name) {
                $(self.$field += counters.$field.get();)*
            }
        }

        impl std::ops::AddAssign for $totals {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

pub(crate) use counters;
