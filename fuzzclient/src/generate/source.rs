//! Bytes from outside: a file, a device, stdin.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use eventloop::Waker;

use super::BLOCK_BYTES;
use super::stream::{Generator, More};

/// Blocks read ahead of the socket from a source that may block.
const BLOCKS_AHEAD: usize = 4;

/// Where bytes come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A regular file: every connection sends all of it.
    File(PathBuf),
    /// A device, a pipe or stdin: connections send it one after the other, each going on
    /// where the one before it stopped.
    Stream(Feed),
}

impl Source {
    /// Opens `path`, `-` being stdin.
    ///
    /// # Errors
    /// That it cannot be opened, with its name.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Feed::start(Box::new(io::stdin())).map(Self::Stream);
        }
        let named = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot read {}: {error}", path.display()),
            )
        };
        let metadata = std::fs::metadata(path).map_err(named)?;
        if metadata.is_dir() {
            return Err(named(io::ErrorKind::IsADirectory.into()));
        }
        let file = File::open(path).map_err(named)?;
        if metadata.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        Feed::start(Box::new(file)).map(Self::Stream)
    }

    /// The generator of one connection's bytes.
    ///
    /// # Errors
    /// That the file cannot be opened again.
    pub fn generator(&self) -> io::Result<Box<dyn Generator>> {
        Ok(match self {
            Self::File(path) => Box::new(Contents(File::open(path)?)),
            Self::Stream(feed) => Box::new(feed.clone()),
        })
    }
}

/// A regular file, which never makes anybody wait long.
struct Contents(File);

impl Generator for Contents {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<More> {
        let block = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
        let read = Read::by_ref(&mut self.0).take(block).read_to_end(out)?;
        Ok(if read == 0 { More::End } else { More::Bytes })
    }
}

/// A source that may block, read by a thread of its own.
#[derive(Clone, Debug)]
pub struct Feed {
    blocks: Arc<Mutex<Receiver<io::Result<Vec<u8>>>>>,
    waker: Arc<Waker>,
}

impl Feed {
    fn start(from: Box<dyn Read + Send>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(BLOCKS_AHEAD);
        let waker = Arc::new(Waker::new()?);
        let wake = Arc::clone(&waker);
        std::thread::Builder::new()
            .name("source".into())
            .spawn(move || read_all(from, &sender, &wake))?;
        Ok(Self {
            blocks: Arc::new(Mutex::new(receiver)),
            waker,
        })
    }

    /// Wakes whoever was told [`More::NotYet`].
    #[must_use]
    pub fn waker(&self) -> &Waker {
        &self.waker
    }
}

/// Ends with the source, or when nobody takes its blocks any more.
fn read_all(
    mut from: Box<dyn Read + Send>,
    sender: &SyncSender<io::Result<Vec<u8>>>,
    waker: &Waker,
) {
    loop {
        let mut block = vec![0; BLOCK_BYTES];
        let read = match from.read(&mut block) {
            Ok(0) => break,
            Ok(n) => {
                block.truncate(n);
                Ok(block)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = read.is_err();
        if sender.send(read).is_err() || failed {
            break;
        }
        waker.wake();
    }
    waker.wake();
}

impl Generator for Feed {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<More> {
        let next = self
            .blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_recv();
        match next {
            Ok(block) => {
                out.append(&mut block?);
                Ok(More::Bytes)
            }
            Err(TryRecvError::Empty) => Ok(More::NotYet),
            Err(TryRecvError::Disconnected) => Ok(More::End),
        }
    }
}
