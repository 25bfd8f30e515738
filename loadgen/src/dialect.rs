//! What differs between the protocols that a load may speak: how a request is written,
//! how replies are cut from the bytes that came, and which of them are right.
//!
//! A worker is compiled once for each dialect, so that a message costs no indirect call.

use std::fmt::Debug;

use protocol::foo::{MAX_LINE_BYTES, Message};

use crate::judge::{Replies, reply_of};
use crate::tracker::{Judge, Reply};

/// A protocol as a worker speaks it.
pub(crate) trait Dialect: Judge + Debug + Send + 'static {
    /// What is remembered of a connection's replies from one read to the next.
    type Cutting: Default + Debug + Send;

    /// Appends request `seq` of connection `connection` to `out`.
    fn write(&self, connection: u32, seq: u64, out: &mut Vec<u8>);

    /// The replies that follow are those of connection number `connection`; all
    /// connections of the run have numbers below `connections`, as far as is known.
    fn turn_to(&mut self, connection: u32, connections: u32);

    /// Cuts the next reply from `inbound` and tells how many bytes it takes; the bytes
    /// may also be the rest of a wrong reply, which was told before. `None` if more must
    /// come first. `oldest` is the number of the oldest open request.
    fn next<'a>(
        &mut self,
        inbound: &'a [u8],
        oldest: u64,
        cutting: &mut Self::Cutting,
    ) -> Option<(Option<Reply<'a>>, usize)>;

    /// Whether a stream with `bytes` bytes of an unfinished reply can still be followed.
    fn can_wait(&self, bytes: usize) -> bool;

    /// Whether `bytes` bytes that are no whole reply are more than the rest of one that
    /// was told before.
    fn is_left_over(&self, bytes: usize, cutting: &Self::Cutting) -> bool;
}

/// Foo: lines.
impl Dialect for Replies {
    type Cutting = ();

    #[inline]
    fn write(&self, connection: u32, seq: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"REQ ");
        out.extend_from_slice(itoa::Buffer::new().format(seq).as_bytes());
        out.push(b' ');
        self.payload().write(connection, seq, out);
        out.push(b'\n');
    }

    fn turn_to(&mut self, connection: u32, connections: u32) {
        Self::turn_to(self, connection, connections);
    }

    #[inline]
    fn next<'a>(
        &mut self,
        inbound: &'a [u8],
        _oldest: u64,
        (): &mut (),
    ) -> Option<(Option<Reply<'a>>, usize)> {
        let (message, bytes) = Message::next(inbound)?;
        Some((Some(reply_of(message)), bytes))
    }

    fn can_wait(&self, bytes: usize) -> bool {
        bytes <= MAX_LINE_BYTES
    }

    fn is_left_over(&self, bytes: usize, (): &()) -> bool {
        bytes > 0
    }
}
