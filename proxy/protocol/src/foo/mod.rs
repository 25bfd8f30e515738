//! The Foo protocol.
//!
//! ```text
//! Msg  := Type <whitespace> Seq [<whitespace> Data] '\n'
//! Type := "REQ" | "ACK" | "NAK"
//! Seq  := <integer>, starting with 1
//! Data := <string without newline>
//! ```
//!
//! A client sends REQs, pipelined if it likes; the server answers each with an ACK or
//! NAK of the same Seq, in order.
//!
//! [`scan`] judges lines as they arrive in pieces, [`message`] reads and writes whole
//! lines, [`answer`] is what our reference server replies.

pub mod answer;
pub mod message;
pub mod scan;

pub use answer::Answer;
pub use message::{Message, encode};
pub use scan::{Head, Scanned, Scanner};

/// The longest line that the original server takes, without its newline: its read
/// buffer has 64 KiB and must hold the newline as well.
pub const MAX_LINE_BYTES: usize = 65_535;

/// What a server answers to a line that it cannot decode.
pub const ERROR_ANSWER: &[u8] = b"NAK 0 ERRDECODE\n";

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client's request.
    Req,
    /// The server did what was asked.
    Ack,
    /// The server did not.
    Nak,
}

impl Kind {
    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Req => "REQ",
            Self::Ack => "ACK",
            Self::Nak => "NAK",
        }
    }
}

/// How strictly a line is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grammar {
    /// As the original server's decoder: fields are split at single spaces, and there
    /// are at most three of them.
    #[default]
    Strict,
    /// As the protocol's text: any run of spaces and tabs separates, and Data may hold
    /// spaces.
    Spec,
}

/// Why a line is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// No Seq.
    #[error("not enough fields")]
    NotEnoughFields,
    /// A space in Data, under the strict grammar.
    #[error("too many fields")]
    TooManyFields,
    /// The first field is none of REQ, ACK and NAK.
    #[error("bad type")]
    BadType,
    /// The second field is not a signed 64-bit decimal.
    #[error("bad seq")]
    BadSeq,
    /// More bytes than a line may have.
    #[error("line too long")]
    TooLong,
    /// The stream ended within the line.
    #[error("unterminated line")]
    Unterminated,
    /// A message that only the other side may send.
    #[error("wrong direction")]
    WrongDirection,
}

impl Malformed {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 7] = [
        Self::NotEnoughFields,
        Self::TooManyFields,
        Self::BadType,
        Self::BadSeq,
        Self::TooLong,
        Self::Unterminated,
        Self::WrongDirection,
    ];

    /// The name of this reason's counter.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::NotEnoughFields => "not_enough_fields",
            Self::TooManyFields => "too_many_fields",
            Self::BadType => "bad_type",
            Self::BadSeq => "bad_seq",
            Self::TooLong => "too_long",
            Self::Unterminated => "unterminated",
            Self::WrongDirection => "wrong_direction",
        }
    }
}
