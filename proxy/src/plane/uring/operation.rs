//! Operations and whose they are, as they travel through the ring.

use crate::plane::driver::{Owner, Side};

/// Kinds of operations, as they are packed into a completion's user data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Accept,
    Wake,
    Connect,
    Receive,
    SendTry,
    SendWait,
    PollRead,
    PollWrite,
    Silent,
}

impl Op {
    const ALL: [Self; 9] = [
        Self::Accept,
        Self::Wake,
        Self::Connect,
        Self::Receive,
        Self::SendTry,
        Self::SendWait,
        Self::PollRead,
        Self::PollWrite,
        Self::Silent,
    ];
}

/// An operation and whose it is in 64 bits: 7 for the operation, 1 for the side, 24 for the
/// generation of the socket where that matters, 32 for the session.
pub(super) fn pack(op: Op, owner: Owner, generation: u32) -> u64 {
    u64::from(owner.session) << 32
        | u64::from(generation) << 8
        | (owner.side as u64) << 7
        | op as u64
}

pub(super) fn unpack(user_data: u64) -> (Op, Owner, u32) {
    let op = Op::ALL[(user_data & 0x7f) as usize % Op::ALL.len()];
    let owner = Owner {
        session: (user_data >> 32) as u32,
        side: Side::BOTH[(user_data >> 7 & 1) as usize],
    };
    (op, owner, (user_data >> 8) as u32 & 0xff_ffff)
}
