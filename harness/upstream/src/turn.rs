//! What a worker and a connection have to do with each other in one turn.

use eventloop::Interest;

use crate::socket::Spare;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A PROXY header comes first.
    Preface,
    /// Its bytes are answered.
    Talking,
    /// Nothing more is answered; what is answered still leaves, then our side ends.
    Ending,
    /// The same, and then it is closed whatever the client still sends.
    Cutting,
    /// Our side has ended. What the client still sends is dropped: closing at once would
    /// reset the connection and take answers with it that the client has not read yet.
    Ended,
    /// Planted: nothing is read, answered or closed.
    Silent,
}

/// What is left to do for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Wait for what it is watched for.
    Waits,
    /// Watch it for this from now on.
    Watch(Interest),
    /// Close it.
    Over,
    /// Break it off: a defect wants that, or a PROXY header is missing.
    Cut,
    /// Hang: the last answers have left.
    Hang,
}

/// What a connection borrows from its worker for a turn.
#[derive(Debug)]
pub(crate) struct Lent<'a> {
    /// Buffers.
    pub(crate) spare: &'a mut Spare,
    /// Where answers go that are meant to go to another client; `None` if there is no
    /// other.
    pub(crate) astray: Option<&'a mut Vec<Vec<u8>>>,
}
