//! A model server that answers the same to the same, in both wire formats, and fails on demand: the header
//! `x-fake` says how (`status=500,name=a,times=2,delay_ms=20,chunks=8,chunk_ms=5,cut=3,malformed=2,no_usage`).
//! It calls the first tool of a request that has any, and fills in a schema that an answer is to have.
//! For tests, trials and figures.

pub mod orders;
pub mod content;
pub mod words;
pub mod events;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Operation, read_request};
use orders::Orders;

/// Names of calls that are kept.
const NAMES: usize = 10_000;

/// What the fake has charged so far.
#[derive(Debug, Default)]
pub struct Charged {
    /// Calls that were answered.
    pub calls: AtomicU64,
    /// Tokens of their prompts.
    pub input_tokens: AtomicU64,
    /// Tokens of their answers.
    pub output_tokens: AtomicU64,
    /// How often calls of a name have failed as they were ordered to.
    failed: Mutex<HashMap<String, u64>>,
}

impl Charged {
    /// Whether a call that is to fail so often under its name has still to.
    fn fails(&self, orders: &Orders) -> bool {
        let Some(times) = orders.times else { return true };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= NAMES {
            failed.clear();
        }
        let before = failed.entry(orders.name.clone()).or_default();
        *before += 1;
        *before <= times
    }
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, charged: Arc<Charged>, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let (charged, stop) = (charged.clone(), stop.clone());
        tasks.spawn(async move {
            let service = service_fn(move |request| answer(request, charged.clone()));
            let server = hyper::server::conn::http1::Builder::new();
            let connection = server.serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    charged: Arc<Charged>,
) -> Result<Response<Pieces>, Infallible> {
    let (head, body) = request.into_parts();
    let orders = Orders::read(&head.headers);
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    tokio::time::sleep(orders.delay).await;
    let Some(operation) = Operation::of_path(head.uri.path()) else {
        return Ok(whole(404, r#"{"error":{"message":"no such path"}}"#.to_owned()));
    };
    let Ok(asked) = read_request(operation, &body) else {
        return Ok(whole(400, words::error(operation.dialect(), 400)));
    };
    let is_meant = orders.model.is_empty() || orders.model == asked.model;
    if orders.status != 200 && is_meant && charged.fails(&orders) {
        let mut response = whole(orders.status, words::error(operation.dialect(), orders.status));
        if let Some(seconds) = orders.retry_after {
            response.headers_mut().insert("retry-after", HeaderValue::from(seconds));
        }
        return Ok(response);
    }
    let said = words::Said::new(operation, &asked, &body, &orders);
    charged.calls.fetch_add(1, Ordering::Relaxed);
    charged.input_tokens.fetch_add(said.input_tokens, Ordering::Relaxed);
    if asked.is_stream && operation.has_output() {
        return Ok(stream(&said, &orders, charged));
    }
    charged.output_tokens.fetch_add(said.output_tokens, Ordering::Relaxed);
    Ok(whole(200, said.whole()))
}

fn whole(status: u16, body: String) -> Response<Pieces> {
    let pieces = VecDeque::from([(Bytes::from(body), 0)]);
    let body =
        Pieces { left: pieces, pause: None, chunk: Duration::ZERO, is_cut: false, charged: None };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    said_by_vendor(response.headers_mut(), "application/json");
    response
}

fn stream(said: &words::Said<'_>, orders: &Orders, charged: Arc<Charged>) -> Response<Pieces> {
    let mut pieces: VecDeque<_> = said.events().into();
    if let Some(cut) = orders.cut {
        pieces.truncate(usize::try_from(cut).unwrap_or(usize::MAX));
    }
    let body = Pieces {
        left: pieces,
        pause: None,
        chunk: orders.chunk,
        is_cut: orders.cut.is_some(),
        charged: Some(charged),
    };
    let mut response = Response::new(body);
    said_by_vendor(response.headers_mut(), "text/event-stream; charset=utf-8");
    response
}

fn said_by_vendor(headers: &mut HeaderMap, kind: &'static str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderValue::from_static("99"),
    );
    headers.insert(HeaderName::from_static("x-request-id"), HeaderValue::from_static("req_fake"));
}

/// A body in pieces, each with the tokens that are charged once it is sent.
#[derive(Debug)]
struct Pieces {
    left: VecDeque<(Bytes, u64)>,
    chunk: Duration,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Whether the connection breaks where the pieces end.
    is_cut: bool,
    charged: Option<Arc<Charged>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let Some((piece, tokens)) = self.left.pop_front() else {
            let is_cut = std::mem::take(&mut self.is_cut);
            let broken = || Err(std::io::ErrorKind::ConnectionReset.into());
            return Poll::Ready(is_cut.then(broken));
        };
        if let Some(charged) = &self.charged {
            charged.output_tokens.fetch_add(tokens, Ordering::Relaxed);
        }
        if !self.chunk.is_zero() {
            self.pause = Some(Box::pin(tokio::time::sleep(self.chunk)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}
