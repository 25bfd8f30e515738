//! What may be broken, and how it is written.

use std::str::FromStr;

use service::units::Size;

/// The environment variable that names a defect where no flag can be given, as for
/// `harness run --proxy PATH`.
const VARIABLE: &str = "BROKEN_PROXY";

/// One reply in so many is wrong if nothing else is said.
const EVERY: u64 = 50;

/// The length of a line that is deadly if nothing else is said: that of the buffer which
/// most programs that have a fixed one have.
const DEADLY_BYTES: u64 = 4096;

/// What a connection costs for ever if nothing else is said.
const LEAKED_BYTES: u64 = 1 << 20;

/// What is wrong with the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Defect {
    /// Nothing.
    #[default]
    None,
    /// It aborts at a line from a client that has this many bytes before its newline.
    DiesOnLine(u64),
    /// Each connection costs a descriptor and this many bytes of memory for ever.
    LeaksPerConnection(u64),
    /// It serves nobody any more once a client has ended its side before its answer came.
    HangsOnHalfClose,
    /// The server never hears that a client has ended its side.
    SwallowsHalfClose,
    /// One in so many replies, over all connections, is not what the server sent.
    Replies(Wrong, u64),
}

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Its last byte, a newline apart, is another digit.
    Corrupted,
    /// It is not sent.
    Dropped,
    /// It is sent twice.
    Duplicated,
    /// It is sent after the next one.
    Swapped,
    /// It is sent to another client, if there is one.
    Misrouted,
}

/// Every defect as it is written, and what it does, for the help.
pub(crate) const HELP: &str = "\
Defects, by --defect or by the environment variable BROKEN_PROXY:
  none                             a sound relay, to see that nothing is found
  dies-on-power-of-two-line[=SIZE] SIGABRT at a line from a client with exactly SIZE bytes
                                   before its newline, a power of two (4KiB)
  leaks-per-connection[=SIZE]      a descriptor and SIZE of touched memory (1MiB) for each
                                   connection, for ever; memory up to 1 GiB in all
  hangs-on-half-close              nobody is served any more once an answer came for a
                                   client that had ended its side
  swallows-half-close              the server never hears that a client ended its side; the
                                   connection is given up 30 s later
  corrupts[=N]                     one reply in N (50) has a wrong last byte
  drops-reply[=N]                  one reply in N is not sent
  duplicates-reply[=N]             one reply in N is sent twice
  swaps-replies[=N]                one reply in N comes after the one behind it
  answers-wrong-client[=N]         one reply in N goes to another client
A reply is a line in mode foo, and what comes at once in mode tcp.

Examples:
  BROKEN_PROXY=swallows-half-close harness run tcp-half-close --proxy ./test-broken-proxy
  harness run wrong-reply \\
    --proxy 'cmd:test-broken-proxy foo --listen {listen} --forward {forward} --defect corrupts'";

impl Defect {
    /// The one that was asked for: by flag, else by the environment.
    ///
    /// # Errors
    /// That the environment names none that there is.
    pub(crate) fn chosen(flag: Option<Self>) -> Result<Self, String> {
        match (flag, std::env::var(VARIABLE)) {
            (Some(defect), _) => Ok(defect),
            (None, Ok(text)) => text.parse().map_err(|error| format!("{VARIABLE}: {error}")),
            (None, Err(_)) => Ok(Self::None),
        }
    }
}

impl FromStr for Defect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let size = |default| match value {
            None => Ok(default),
            Some(value) => value.parse().map(|size: Size| size.0),
        };
        let size = |default| {
            size(default).map_err(|_| format!("expected {name}=SIZE such as {name}=8KiB"))
        };
        let replies = |wrong| {
            let every = value.map_or(Some(EVERY), |value| value.parse().ok());
            let every = every.filter(|n| *n > 0);
            every
                .map(|every| Self::Replies(wrong, every))
                .ok_or_else(|| format!("expected {name}=N with a whole number above 0"))
        };
        let bare = |defect| match value {
            None => Ok(defect),
            Some(_) => Err(format!("expected {name} without a value")),
        };
        match name {
            "none" => bare(Self::None),
            "dies-on-power-of-two-line" => match size(DEADLY_BYTES)? {
                bytes if bytes.is_power_of_two() => Ok(Self::DiesOnLine(bytes)),
                bytes => Err(format!("expected {name}=SIZE, a power of two, got {bytes}")),
            },
            "leaks-per-connection" => size(LEAKED_BYTES).map(Self::LeaksPerConnection),
            "hangs-on-half-close" => bare(Self::HangsOnHalfClose),
            "swallows-half-close" => bare(Self::SwallowsHalfClose),
            "corrupts" => replies(Wrong::Corrupted),
            "drops-reply" => replies(Wrong::Dropped),
            "duplicates-reply" => replies(Wrong::Duplicated),
            "swaps-replies" => replies(Wrong::Swapped),
            "answers-wrong-client" => replies(Wrong::Misrouted),
            _ => Err(format!(
                "unknown defect {name:?}, expected one of none, dies-on-power-of-two-line, \
                 leaks-per-connection, hangs-on-half-close, swallows-half-close, corrupts, \
                 drops-reply, duplicates-reply, swaps-replies, answers-wrong-client"
            )),
        }
    }
}
