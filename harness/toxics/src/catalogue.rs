//! Every kind of toxic that there is.

use crate::stage;
use crate::toxic::{Acts, Fits, Kind, ListenerFault};

/// Every kind: first those that Toxiproxy has, then ours.
pub static KINDS: &[&Kind] = &[
    &stage::latency::KIND,
    &stage::bandwidth::KIND,
    &stage::slow_close::KIND,
    &stage::timeout::KIND,
    &stage::reset_peer::KIND,
    &stage::slicer::KIND,
    &stage::limit_data::KIND,
    &stage::loss::PACKET_LOSS,
    &stage::noop::KIND,
    &stage::loss::LOSS,
    &stage::duplicate::KIND,
    &stage::reorder::KIND,
    &stage::corrupt::KIND,
    &stage::truncate::KIND,
    &stage::stall::HALF_OPEN,
    &stage::stall::STALL_AFTER,
    &stage::close_after::KIND,
    &stage::message::DROP,
    &stage::message::DUPLICATE,
    &stage::message::DELAY,
    &stage::message::SWAP,
    &stage::message::CORRUPT,
    &stage::message::STALE,
    &stage::message::SPLIT,
    &REFUSE,
    &NEVER_ACCEPT,
];

/// Who is refused is counted one by one where the process may open raw sockets
/// (`CAP_NET_RAW`); elsewhere the closed port is one hit.
static REFUSE: Kind = Kind {
    name: "refuse",
    about: "refuse new connections; those that are open stay",
    fits: Fits::Stream,
    attributes: &[],
    acts: Acts::OnListener(ListenerFault::Refuses),
};

/// Each connection that waits is a hit, up to the kernel's queue; who finds that full is not
/// known of.
static NEVER_ACCEPT: Kind = Kind {
    name: "never_accept",
    about: "let the kernel take new connections and nobody accept them",
    fits: Fits::Stream,
    attributes: &[],
    acts: Acts::OnListener(ListenerFault::NeverAccepts),
};

/// The kind of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::attributes::Attributes;

    #[test]
    fn names_are_unique_and_every_kind_can_be_made_of_its_defaults() {
        let names: BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
        for kind in KINDS {
            let attributes = Attributes::defaults(kind.attributes);
            if let Acts::OnTraffic(make) = kind.acts {
                assert_eq!(make(&attributes, 0).held(), 0, "{}", kind.name);
            }
        }
    }
}
