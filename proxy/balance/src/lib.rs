//! Which backend gets the next connection: balancing, health and limits, without I/O.
//!
//! In reading order:
//! - [`Algorithm`] and [`WhenAllDown`]: the choices that a user names;
//! - [`BackendSpec`], [`HealthPolicy`], [`AdminState`]: what a backend is told to be;
//! - [`Status`] and [`Transition`]: what it is at a moment, and how it came to be so;
//! - [`Backend`]: one server, its health, its load and its counters, shared by all;
//! - [`Pool`] and [`Picker`]: the set that one connection chooses from, and the state that
//!   each worker needs to choose;
//! - [`Lease`] and [`Ticket`]: a place on a backend, a place in the queue for one; both are
//!   given back by dropping them;
//! - [`hashring`], apart from all of these: which node gets which statsd metric.
//!
//! Nothing here opens a socket, reads a clock, logs or starts a thread. Time comes in as
//! milliseconds of one monotonic clock of the caller's; what happened to a connection or a
//! check comes in as a call; what changed is handed out by [`Backend::take_transitions`].
//! [`Pool::pick`] takes no lock and allocates nothing once a worker has used the pool.

mod algorithm;
mod backend;
mod counters;
mod ejection;
mod ewma;
mod gate;
pub mod hashring;
mod health;
mod histogram;
mod journal;
mod lease;
mod picker;
mod pool;
mod queue;
mod ring;
mod spec;
mod status;

pub use algorithm::{Algorithm, UnknownName, WhenAllDown};
pub use backend::Backend;
pub use counters::{BackendCounters, PoolCounters};
pub use ewma::PeakEwma;
pub use histogram::{BUCKETS_US, Histogram, HistogramSnapshot};
pub use journal::{HISTORY, Transition};
pub use lease::Lease;
pub use picker::Picker;
pub use pool::{BOUND_FACTOR, NoBackend, Pool};
pub use queue::Ticket;
pub use spec::{AdminState, BackendSpec, HealthPolicy, MAX_WEIGHT};
pub use status::{CheckState, Status};
