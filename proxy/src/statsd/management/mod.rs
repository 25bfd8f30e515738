//! The management port: one command per line, as on that of statsd.
//!
//! Nobody can hang it: clients are served each on a task of its own, who says nothing for
//! long is let go, and when all places are taken, whoever has been silent longest makes
//! room.

mod commands;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::commands::{Answer, Promise};
use super::board::Board;

/// Clients at a time: supervisors and operators come one by one.
const MAX_CLIENTS: usize = 64;

/// The longest line. Commands are shorter than 20 bytes.
const MAX_LINE_BYTES: usize = 1024;

/// How long a client may say nothing. Checks come more often than this.
const SILENCE: Duration = Duration::from_secs(60);

/// How long the end of a line may take before it is answered without: `echo -n stats | nc`
/// never sends one.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a client may take none of its answer.
const STUCK: Duration = Duration::from_secs(5);

/// Pause after accepting failed, as when descriptors ran out.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Serves until `stop`. Needs a tokio runtime with I/O and time.
///
/// # Errors
/// That the listener cannot be registered.
pub(super) fn serve(
    listener: OwnedFd,
    board: Arc<Board>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener.into())?;
    let clients = tasks.clone();
    tasks.spawn(async move {
        let accepting = accept(listener, board, clients, stop.clone());
        stop.run_until_cancelled(accepting).await
    });
    Ok(())
}

async fn accept(
    listener: TcpListener,
    board: Arc<Board>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Places::default());
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("management port cannot accept: {error}");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let place = places.take(stop.child_token());
        let board = Arc::clone(&board);
        tasks.spawn(async move {
            let let_go = place.let_go.clone();
            let client = Client {
                stream,
                board,
                place,
            };
            // How a client's connection ends is the client's business.
            let _ = let_go.run_until_cancelled(client.serve()).await;
        });
    }
}

/// Who is being served.
#[derive(Default)]
struct Places(Mutex<Vec<Arc<Taken>>>);

struct Taken {
    heard_at: Mutex<Instant>,
    let_go: CancellationToken,
}

/// A place, until it is dropped.
struct Place {
    all: Arc<Places>,
    taken: Arc<Taken>,
    let_go: CancellationToken,
}

impl Places {
    /// A place for one more. If there is none, the one that has been silent longest goes.
    fn take(self: &Arc<Self>, let_go: CancellationToken) -> Place {
        let taken = Arc::new(Taken {
            heard_at: Mutex::new(Instant::now()),
            let_go: let_go.clone(),
        });
        let mut all = lock(&self.0);
        if all.len() >= MAX_CLIENTS {
            let silent = (0..all.len()).min_by_key(|nth| *lock(&all[*nth].heard_at));
            if let Some(nth) = silent {
                all.swap_remove(nth).let_go.cancel();
            }
        }
        all.push(Arc::clone(&taken));
        Place {
            all: Arc::clone(self),
            taken,
            let_go,
        }
    }
}

impl Place {
    fn heard(&self) {
        *lock(&self.taken.heard_at) = Instant::now();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.all.0).retain(|taken| !Arc::ptr_eq(taken, &self.taken));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Client {
    stream: TcpStream,
    board: Arc<Board>,
    place: Place,
}

/// What has come of a line so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// It belongs to the next command.
    Wanted,
    /// The command was answered before its end came: an end alone is not another one.
    Answered,
    /// It was an error already; whatever comes up to its end is part of that.
    Skipped,
}

impl Client {
    async fn serve(mut self) -> std::io::Result<()> {
        let mut line: Vec<u8> = Vec::new();
        let mut rest = Rest::Wanted;
        loop {
            while let Some(end) = memchr(b'\n', &line) {
                let command: Vec<u8> = line.drain(..=end).collect();
                let is_over = match rest {
                    Rest::Skipped => true,
                    Rest::Answered => command.trim_ascii().is_empty(),
                    Rest::Wanted => false,
                };
                rest = Rest::Wanted;
                if !is_over && !self.answer(&command).await? {
                    return Ok(());
                }
            }
            if rest == Rest::Skipped {
                line.clear();
            } else if line.len() > MAX_LINE_BYTES {
                line.clear();
                rest = Rest::Skipped;
                self.say("ERROR\n").await?;
            }
            // The end of a line may never come, but it is waited for once.
            let waits = !line.trim_ascii().is_empty();
            let patience = if waits { PAUSE } else { SILENCE };
            let mut read = timeout(patience, self.stream.read_buf(&mut line)).await;
            if waits && read.is_err() {
                match commands::promise(&line) {
                    Promise::Command => {
                        if !self.answer(&std::mem::take(&mut line)).await? {
                            return Ok(());
                        }
                        rest = Rest::Answered;
                        continue;
                    }
                    Promise::Never => {
                        self.say("ERROR\n").await?;
                        rest = Rest::Skipped;
                        continue;
                    }
                    Promise::Perhaps => {
                        read = timeout(SILENCE, self.stream.read_buf(&mut line)).await;
                    }
                }
            }
            match read {
                Ok(Ok(0)) => {
                    if rest != Rest::Skipped && !line.trim_ascii().is_empty() {
                        self.answer(&line).await?;
                    }
                    return self.stream.shutdown().await;
                }
                Ok(outcome) => outcome.map(|_| self.place.heard())?,
                // It has been silent for long enough.
                Err(_) => return Ok(()),
            }
        }
    }

    /// Says whether the connection goes on.
    async fn answer(&mut self, line: &[u8]) -> std::io::Result<bool> {
        match commands::answer(&self.board, line) {
            Answer::Say(text) => self.say(&text).await.map(|()| true),
            Answer::Close => self.stream.shutdown().await.map(|()| false),
        }
    }

    async fn say(&mut self, text: &str) -> std::io::Result<()> {
        timeout(STUCK, self.stream.write_all(text.as_bytes())).await?
    }
}
