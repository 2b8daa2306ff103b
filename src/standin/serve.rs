//! The stand-in's HTTP side.

use super::{Asked, REMEMBERED, Reply, Shared, State, Step};
use crate::clock;
use axum::{
    Router,
    body::{Body, Bytes},
    extract,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header},
    routing::get,
};
use futures_core::Stream;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::oneshot;

/// All routes.
pub(super) fn router(shared: Shared, more: Router) -> Router {
    let own = Router::new().route("/generation", get(generation)).with_state(shared);
    Router::new().nest("/api/v1", own.merge(more))
}

/// Serves until the sender of `stopped` is dropped.
pub(super) async fn until(
    stopped: oneshot::Receiver<()>,
    listener: std::net::TcpListener,
    router: Router,
) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    tokio::select! {
        _ = stopped => {}
        _ = axum::serve(listener, router) => {}
    }
}

/// `GET /generation?id=…`
async fn generation(
    extract::State(shared): extract::State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let id = pairs.filter_map(|pair| pair.strip_prefix("id=")).next().unwrap_or_default();
    let key = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = key.and_then(|value| value.strip_prefix("Bearer "));
    let step = shared.lock().next(id, key);
    match step {
        Step::Reply(reply) => answer(reply),
        Step::Hang => std::future::pending().await,
        Step::Stall(body) => half(&body, false),
        Step::Cut(body) => half(&body, true),
    }
}

impl State {
    /// Remembers the question and chooses how to meet it.
    fn next(&mut self, id: &str, key: Option<&str>) -> Step {
        self.count += 1;
        if self.asked.len() < REMEMBERED {
            let key = key.map(str::to_owned);
            self.asked.push(Asked { id: id.to_owned(), key, at: clock::monotonic() });
        }
        if self.black_hole {
            return Step::Hang;
        }
        let Some(key) = key else {
            return Reply::error(401, "Missing Authentication header").into();
        };
        let unknown = if self.only_known_keys { 401 } else { 200 };
        match self.keys.get(key).copied().unwrap_or(unknown) {
            200 => {}
            402 => return Reply::error(402, "Insufficient credits").into(),
            status => return Reply::error(status, "This key may not do that").into(),
        }
        if id.is_empty() {
            return Reply::error(400, "Invalid request parameters").into();
        }
        let otherwise = &self.otherwise;
        let (steps, at) = self.scripts.entry(id.to_owned()).or_insert_with(|| {
            (otherwise.as_ref().map(|script| script(id)).unwrap_or_default(), 0)
        });
        let step = steps.get(*at).or(steps.last()).cloned();
        *at += 1;
        step.unwrap_or_else(|| Reply::error(404, "Generation not found").into())
    }
}

fn answer(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

/// The first half of a JSON body whose length is announced whole.
fn half(body: &str, close: bool) -> Response<Body> {
    let bytes = body.as_bytes();
    let part = Bytes::copy_from_slice(bytes.get(..bytes.len() / 2).unwrap_or_default());
    let mut response =
        Response::new(Body::from_stream(Half { part: Some(part), flushed: false, close }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    response
}

/// A body that yields one part, then breaks off or falls silent.
struct Half {
    part: Option<Bytes>,
    flushed: bool,
    close: bool,
}

impl Stream for Half {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.part.take() {
            Some(part) => Poll::Ready(Some(Ok(part))),
            // The server sends what it has only when there is nothing more for the moment.
            None if !self.flushed => {
                self.flushed = true;
                task.waker().wake_by_ref();
                Poll::Pending
            }
            None if self.close => {
                Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionReset))))
            }
            // Nobody wakes this: the silence lasts until the other side has had enough.
            None => Poll::Pending,
        }
    }
}
