//! A small HTTP endpoint for operators: statistics, metrics, health, and orders.
//!
//! It serves on its own tasks, apart from any traffic. Connections, request heads and
//! the time to send one are bounded, so that nobody can hang or fill it. GET only reads;
//! an order is a POST to a path, without a body. A POST that a web page had a browser
//! send, which says so with `Origin`, is refused: a page must not steer what runs here.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::addr::HostPort;

/// Connections served at a time; more wait in the kernel's queue. Operators and
/// scrapers come one by one.
const MAX_CONNECTIONS: usize = 64;

/// Time for a client to send the head of a request, and for an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Time that one connection may last: nobody holds a place for ever.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for an open connection to get its answer when the program ends.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Space for the head of a request.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Pause after accepting failed, as when descriptors ran out.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// An answer of the endpoint.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Reply {
    /// 200 with a JSON body.
    #[must_use]
    pub fn json(body: String) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            body,
        }
    }

    /// 200 with a text body.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            content_type: "text/plain; charset=utf-8",
            body: body.into(),
        }
    }

    /// 200 with metrics in the Prometheus text format.
    #[must_use]
    pub fn prometheus(body: String) -> Self {
        Self {
            status: 200,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body,
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

/// The answer to an order, once it has been carried out.
pub type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Answers requests by path; `None` is 404.
pub trait Routes: Send + Sync + 'static {
    /// The paths there are, for the answer to a wrong one.
    fn paths(&self) -> &'static [&'static str];

    /// The answer at `path`.
    fn get(&self, path: &str) -> Option<Reply>;

    /// The paths that take orders, for the answer to a wrong one. None, unless a program
    /// has some.
    fn orders(&self) -> &'static [&'static str] {
        &[]
    }

    /// Carries out the order that a POST to `path` is. No body is read.
    fn post(&self, path: &str) -> Option<Answer> {
        let _ = path;
        None
    }
}

/// Opens the endpoint.
///
/// # Errors
/// Names the address and what the system said.
pub fn bind(at: &HostPort) -> io::Result<(OwnedFd, SocketAddr)> {
    crate::addr::listen(at)
}

/// Serves until `stop`. Needs a tokio runtime with I/O and time.
///
/// # Errors
/// That the listener cannot be registered.
pub fn serve(
    listener: OwnedFd,
    routes: Arc<dyn Routes>,
    tracker: &TaskTracker,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener.into())?;
    let connections = tracker.clone();
    tracker.spawn(async move {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let _ = stop
            .run_until_cancelled(accept_loop(
                &listener,
                &routes,
                &places,
                &connections,
                &stop,
            ))
            .await;
    });
    Ok(())
}

async fn accept_loop(
    listener: &TcpListener,
    routes: &Arc<dyn Routes>,
    places: &Arc<Semaphore>,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Infallible {
    loop {
        let place = Arc::clone(places).acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("admin endpoint cannot accept: {error}");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let routes = Arc::clone(routes);
        let stop = stop.clone();
        tracker.spawn(async move {
            let _place = place;
            let answered = Arc::new(AtomicBool::new(false));
            let answers = Arc::clone(&answered);
            let service = service_fn(move |request| {
                let (routes, answers) = (Arc::clone(&routes), Arc::clone(&answers));
                async move {
                    let response = respond(routes.as_ref(), &request).await;
                    answers.store(true, Ordering::Relaxed);
                    Ok::<_, Infallible>(response)
                }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(serving);
            // How a client's connection ends is the client's business.
            tokio::select! {
                _ = tokio::time::timeout(CONNECTION_TIMEOUT, &mut serving) => return,
                () = stop.cancelled() => {}
            }
            // Who has just connected gets an answer still; who is idle is let go.
            if answered.load(Ordering::Relaxed) {
                serving.as_mut().graceful_shutdown();
            }
            let _ = tokio::time::timeout(STOP_TIMEOUT, serving).await;
        });
    }
}

async fn respond(routes: &dyn Routes, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let orders = routes.orders();
    let mut allow = None;
    let reply = match *request.method() {
        Method::GET => routes
            .get(path)
            .unwrap_or_else(|| not_found(routes.paths())),
        Method::POST if !orders.is_empty() => {
            if request.headers().contains_key(ORIGIN) {
                Reply::text("orders from web pages are refused\n").status(403)
            } else if let Some(answer) = routes.post(path) {
                answer.await
            } else {
                not_found(orders)
            }
        }
        _ if orders.is_empty() => {
            allow = Some("GET");
            Reply::text("only GET is answered here\n").status(405)
        }
        _ => {
            allow = Some("GET, POST");
            Reply::text("only GET and POST are answered here\n").status(405)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some(allow) = allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}

fn not_found(paths: &[&str]) -> Reply {
    Reply::text(format!("not found; there is {}\n", paths.join(", "))).status(404)
}
