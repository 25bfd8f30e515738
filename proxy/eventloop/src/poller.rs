//! Waiting for sockets: epoll with nanosecond timeouts, and a waker for other threads.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

/// Events taken from the kernel in one call. More only delays the first of them.
const EVENTS_PER_WAIT: usize = 256;

/// What to wait for on a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Data, a new connection, or the peer's end.
    Read,
    /// Room to write, or a connection that is settled.
    Write,
    /// Either, reported again for as long as it holds.
    Both,
    /// Either, reported once each time that it changes (edge-triggered).
    Edge,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        use epoll::EventFlags as F;
        match self {
            Self::Read => F::IN | F::RDHUP,
            Self::Write => F::OUT,
            Self::Both => F::IN | F::OUT | F::RDHUP,
            Self::Edge => F::IN | F::OUT | F::RDHUP | F::ET,
        }
    }
}

/// What a descriptor is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness(epoll::EventFlags);

impl Readiness {
    /// A read would not block: data, end of stream or an error.
    #[must_use]
    pub fn readable(self) -> bool {
        use epoll::EventFlags as F;
        self.0.intersects(F::IN | F::RDHUP | F::HUP | F::ERR)
    }

    /// A write would not block: room, a settled connection or an error.
    #[must_use]
    pub fn writable(self) -> bool {
        use epoll::EventFlags as F;
        self.0.intersects(F::OUT | F::HUP | F::ERR)
    }

    /// The peer has ended its side, or the connection is gone.
    #[must_use]
    pub fn ended(self) -> bool {
        use epoll::EventFlags as F;
        self.0.intersects(F::RDHUP | F::HUP | F::ERR)
    }
}

/// Room for the events of one [`Poller::wait`].
pub struct Events(Vec<epoll::Event>);

impl Events {
    /// Makes room for the events of one wait.
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::with_capacity(EVENTS_PER_WAIT))
    }

    /// The token and readiness of each descriptor that is ready.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Readiness)> + '_ {
        self.0
            .iter()
            .map(|event| (event.data.u64(), Readiness(event.flags)))
    }

    /// Whether the wait ended without an event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

/// An epoll instance.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    /// The kernel, or a filter before it, knows no timeouts below a millisecond.
    coarse: bool,
}

impl Poller {
    /// Opens an instance.
    ///
    /// # Errors
    /// What `epoll_create1` said.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut none = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let coarse = epoll::wait(&epoll, &mut none, Some(&now)).is_err();
        Ok(Self { epoll, coarse })
    }

    /// Watches `fd`; its events carry `token`.
    ///
    /// # Errors
    /// What `epoll_ctl` said.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token),
            interest.flags(),
        )?)
    }

    /// Changes what `fd` is watched for.
    ///
    /// # Errors
    /// What `epoll_ctl` said.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token),
            interest.flags(),
        )?)
    }

    /// Stops watching `fd`. Closing the descriptor does that too.
    ///
    /// # Errors
    /// What `epoll_ctl` said.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something is ready or `timeout` is over (`None`: for ever), and
    /// replaces `events` by what is.
    ///
    /// # Errors
    /// What `epoll_wait` said; an interrupted wait is one without events.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        if self.coarse {
            return self.wait_coarsely(events, timeout);
        }
        let timeout = timeout.map(|t| Timespec {
            tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        let room = rustix::buffer::spare_capacity(&mut events.0);
        match epoll::wait(&self.epoll, room, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The same in milliseconds, rounded up, by the older system call.
    #[expect(unsafe_code, reason = "the wrapper at hand knows the newer call only")]
    fn wait_coarsely(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let ms = timeout.map_or(-1, |t| {
            i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        let mut found = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_WAIT];
        let room = i32::try_from(found.len()).expect("a few hundred");
        // SAFETY: the kernel writes at most `room` entries.
        let n = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), found.as_mut_ptr(), room, ms) };
        match usize::try_from(n) {
            Ok(n) => events.0.extend(found[..n].iter().map(|event| epoll::Event {
                flags: epoll::EventFlags::from_bits_retain(event.events),
                data: epoll::EventData::new_u64(event.u64),
            })),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Wakes a [`Poller`] from another thread. Add it with [`Interest::Read`] and
/// [`drain`](Self::drain) it, or with [`Interest::Edge`]: that also reports once at the
/// start, because a waker is always writable.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// Opens a waker.
    ///
    /// # Errors
    /// What `eventfd` said.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC,
        )?))
    }

    /// Makes the waker's descriptor readable. Its counter cannot overflow in the
    /// lifetime of a process, so there is nothing to report.
    pub fn wake(&self) {
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Takes all wakes since the last call.
    pub fn drain(&self) {
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
