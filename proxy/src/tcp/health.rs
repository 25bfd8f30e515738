//! Active health checks: a connection each, and if asked for, a question and its answer.
//!
//! What a check means for a backend is decided in `balance`; here it is only carried out,
//! on the control plane, where it costs the traffic nothing.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use balance::{AdminState, Backend};
use memchr::memmem;
use protocol::proxy_header::{self, Addresses};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::clock::now_ms;
use super::pool_plan::Check;
use super::settings::ProxyVersion;
use crate::shortage::is_our_own;

/// What is read of an answer at most.
const ANSWER_BYTES: usize = 4 * 1024;

/// The checks that go on, by backend.
#[derive(Default)]
pub(super) struct Checks {
    running: HashMap<*const Backend, Running>,
}

struct Running {
    check: Check,
    stop: CancellationToken,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Checks {
    /// Checks these backends from now on, and no others. A check that goes on as it was
    /// keeps its rhythm.
    pub(super) fn set(&mut self, wanted: impl Iterator<Item = (Arc<Backend>, Option<Check>)>) {
        let mut before = std::mem::take(&mut self.running);
        for (backend, check) in wanted {
            let key = Arc::as_ptr(&backend);
            let Some(check) = check else {
                backend.checks_stopped(now_ms());
                continue;
            };
            let running = before.remove(&key).filter(|running| running.check == check);
            let running = running.unwrap_or_else(|| {
                let stop = CancellationToken::new();
                let checks = repeat(backend, check.clone());
                let stopped = stop.clone();
                tokio::spawn(async move { stopped.run_until_cancelled(checks).await });
                Running { check, stop }
            });
            self.running.insert(key, running);
        }
    }
}

/// Checks a backend again and again, beginning after one interval: the first check is
/// [`check_once`] before anybody can pick it.
async fn repeat(backend: Arc<Backend>, check: Check) {
    loop {
        tokio::time::sleep(pause(&check, random_unit())).await;
        check_once(&backend, &check).await;
    }
}

/// The interval, more or less: `unit` is from 0 to 1.
fn pause(check: &Check, unit: f64) -> Duration {
    let spread = f64::from(check.jitter_percent) / 100.0;
    check.interval.mul_f64(1.0 + spread * (2.0 * unit - 1.0))
}

/// Chance enough for a pause: hashing keys are random.
fn random_unit() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(0) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Checks that could not be carried out. Descriptors and ports are the whole process's, and
/// so is running out of them.
static SHORTAGE: Shortage = Shortage {
    not_carried_out: AtomicU64::new(0),
    told: AtomicBool::new(false),
};

struct Shortage {
    not_carried_out: AtomicU64,
    /// It has been said, and no check has worked since.
    told: AtomicBool,
}

/// How many checks could not be carried out, for want of descriptors, ports or memory.
pub(super) fn not_carried_out() -> u64 {
    SHORTAGE.not_carried_out.load(Ordering::Relaxed)
}

/// Checks a backend once, unless it is disabled, and tells it the outcome. A check that
/// could not be carried out says nothing of the backend.
pub(super) async fn check_once(backend: &Backend, check: &Check) {
    if backend.admin_state() == AdminState::Disabled {
        return;
    }
    let started = Instant::now();
    let outcome = timeout(check.timeout, carry_out(backend.addr(), check)).await;
    if let Ok(Err(error)) = &outcome
        && is_our_own(error)
    {
        SHORTAGE.not_carried_out.fetch_add(1, Ordering::Relaxed);
        if !SHORTAGE.told.swap(true, Ordering::Relaxed) {
            tracing::warn!("cannot check backends, they stay as they are: {error}");
        }
        return;
    }
    if SHORTAGE.told.swap(false, Ordering::Relaxed) {
        tracing::info!("backends can be checked again");
    }
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    backend.check_histogram().record(took_us);
    match outcome {
        Ok(Ok(())) => backend.check_passed(now_ms()),
        Ok(Err(error)) => backend.check_failed(now_ms(), &error.to_string()),
        Err(_) => {
            let why = format!("nothing after {:?}", check.timeout);
            backend.check_failed(now_ms(), &why);
        }
    }
}

async fn carry_out(addr: SocketAddr, check: &Check) -> io::Result<()> {
    let mut stream = connect(addr, &check.sources).await?;
    let mut question = Vec::new();
    if let Some(version) = check.send_proxy {
        let version = match version {
            ProxyVersion::V1 => proxy_header::Version::V1,
            ProxyVersion::V2 => proxy_header::Version::V2,
        };
        proxy_header::encode(version, &Addresses::Local, &mut question);
    }
    question.extend_from_slice(&check.send);
    stream.write_all(&question).await?;
    if check.expect.is_empty() {
        return Ok(());
    }
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    let mut limited = stream.take(ANSWER_BYTES as u64);
    while limited.read_buf(&mut answer).await? > 0 {
        if memmem::find(&answer, &check.expect).is_some() {
            return Ok(());
        }
    }
    let start = answer[..answer.len().min(60)].escape_ascii();
    Err(io::Error::other(format!("unexpected answer \"{start}\"")))
}

/// Connects from one of the local addresses given for that, in turn, as traffic does.
async fn connect(addr: SocketAddr, sources: &[IpAddr]) -> io::Result<TcpStream> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let socket = eventloop::net::open(addr)?;
    let of_family = sources.iter().filter(|ip| ip.is_ipv4() == addr.is_ipv4());
    let of_family: Vec<_> = of_family.collect();
    if !of_family.is_empty() {
        let turn = TURN.fetch_add(1, Ordering::Relaxed) % of_family.len();
        eventloop::net::bind_source(&socket, *of_family[turn])?;
    }
    TcpSocket::from_std_stream(socket.into())
        .connect(addr)
        .await
}

#[cfg(test)]
mod tests {
    use balance::{BackendSpec, CheckState, HealthPolicy};
    use tokio::net::TcpListener;

    use super::*;

    fn check(send: &str, expect: &str) -> Check {
        Check {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(20),
            jitter_percent: 20,
            send: send.into(),
            expect: expect.into(),
            send_proxy: Some(ProxyVersion::V1),
            sources: Vec::new(),
        }
    }

    fn backend(addr: SocketAddr) -> Arc<Backend> {
        let spec = BackendSpec {
            name: addr.to_string(),
            addr,
            weight: 1,
            max_connections: None,
        };
        Backend::new(spec, HealthPolicy::default())
    }

    /// Answers one connection: what it was asked, and what it says.
    async fn answer(listener: &TcpListener, question: &[u8], says: &[u8]) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; question.len()];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked, question);
        for byte in says {
            stream.write_all(&[*byte]).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_check_asks_and_looks_for_the_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = backend(listener.local_addr().unwrap());
        let check = check("PING\r\n", "PONG");
        let question = b"PROXY UNKNOWN\r\nPING\r\n";
        for (says, state) in [
            (&b"+PONG\r\n"[..], CheckState::Up),
            (b"-LOADING\r\n", CheckState::Up),
            (b"", CheckState::Up),
            (b"-LOADING\r\n", CheckState::Down),
        ] {
            let served = answer(&listener, question, says);
            tokio::join!(served, check_once(&backend, &check));
            assert_eq!(backend.check_state(), state);
        }
        let history = backend.history();
        assert!(
            history.last().unwrap().why.contains("-LOADING"),
            "{history:?}"
        );
        backend.set_admin(AdminState::Disabled, now_ms());
        check_once(&backend, &check).await;
        assert_eq!(backend.counters().checks_failed.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn nobody_there_is_down_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = backend(listener.local_addr().unwrap());
        drop(listener);
        check_once(&backend, &check("", "")).await;
        assert_eq!(backend.check_state(), CheckState::Down);
    }

    #[tokio::test]
    async fn a_check_that_cannot_be_carried_out_says_nothing_of_the_backend() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = backend(listener.local_addr().unwrap());
        let mut check = check("", "");
        // An address for documentation is none of ours.
        check.sources = vec!["::1".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        let before = not_carried_out();
        check_once(&backend, &check).await;
        assert_eq!(backend.check_state(), CheckState::Unknown);
        assert!(not_carried_out() > before);
        check.sources = vec!["127.0.0.3".parse().unwrap()];
        let (accepted, ()) = tokio::join!(listener.accept(), check_once(&backend, &check));
        assert_eq!(accepted.unwrap().1.ip(), check.sources[0]);
        assert_eq!(backend.check_state(), CheckState::Up);
    }

    #[test]
    fn a_pause_varies_about_the_interval() {
        let check = check("", "");
        assert_eq!(pause(&check, 0.0), Duration::from_secs(8));
        assert_eq!(pause(&check, 0.5), Duration::from_secs(10));
        assert!(pause(&check, random_unit()) <= Duration::from_secs(12));
    }
}
