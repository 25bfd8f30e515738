//! Children: started, watched, ended.
//!
//! In reading order: [`spawn`] starts one in a process group of its own, [`guard`] ends
//! them all if the harness itself is killed, [`drain`] empties their pipes, [`tree`]
//! looks at what they use, [`probe`] asks whether they answer, [`datagram`] those that take no connections. [`child`] is one of them,
//! [`notes`] what they have to say to whoever waits;
//! [`orphan`] takes in whom they leave behind, [`http`] talks to their admin endpoints.

pub mod child;
pub mod datagram;
pub mod drain;
pub mod guard;
pub mod http;
pub mod limit;
pub mod notes;
pub mod orphan;
pub mod probe;
pub mod spawn;
pub mod tree;
pub mod udp;
