//! The connections of the API: bounded in number, size and time, so that nobody can hang
//! or fill it.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::routes::{Answer, Api};
use crate::error::ApiError;

/// Connections served at a time; more wait in the kernel's queue. Test suites have a
/// client for each of their workers.
const MAX_CONNECTIONS: usize = 256;

/// Time for a client to send the head of a request, and for an idle connection: that of
/// the original.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Time for a client to send the body of a request: that of the original.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// A body is no longer than this: ten thousand links with some toxics each.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Space for the head of a request.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Pause after accepting failed, as when descriptors ran out.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Time for an open connection to get its answer when the program ends.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Serves until `stop`. Needs a tokio runtime with I/O and time.
///
/// # Errors
/// That the listener cannot be registered.
pub fn serve(
    listener: OwnedFd,
    api: Api,
    tracker: &TaskTracker,
    stop: CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener.into())?;
    let connections = tracker.clone();
    tracker.spawn(async move {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let accepting = accept_loop(&listener, &api, &places, &connections, &stop);
        let _ = stop.run_until_cancelled(accepting).await;
    });
    Ok(())
}

async fn accept_loop(
    listener: &TcpListener,
    api: &Api,
    places: &Arc<Semaphore>,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Infallible {
    loop {
        let place = Arc::clone(places).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = connection(stream, api.clone(), stop.clone());
                tracker.spawn(async move {
                    let _place = place;
                    connection.await;
                });
            }
            Err(error) => {
                tracing::warn!("the API cannot accept: {error}");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, api: Api, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(respond(&api, request).await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // What a client does to its connection is its own affair.
        _ = &mut serving => return,
        () = stop.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(STOP_TIMEOUT, serving).await;
}

async fn respond(api: &Api, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let (method, path) = (head.method.as_str(), head.uri.path());
    let agent = head.headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    if let Some(refusal) = api.refuse(method, path, agent.unwrap_or_default()) {
        return response(refusal);
    }
    let body = Limited::new(body, MAX_BODY_BYTES).collect();
    let answer = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => api.answer(method, path, &body.to_bytes()).await,
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("more than {MAX_BODY_BYTES} bytes");
            ApiError::BadBody(text).into()
        }
        Ok(Err(_)) => ApiError::BadBody("unexpected EOF".to_owned()).into(),
        Err(_) => ApiError::BadBody("i/o timeout".to_owned()).into(),
    };
    response(answer)
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    let status = StatusCode::from_u16(answer.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(content_type) = answer.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if answer.status >= 400 && content_type.starts_with("text/plain") {
            let name = HeaderName::from_static("x-content-type-options");
            headers.insert(name, HeaderValue::from_static("nosniff"));
        }
    }
    response
}
