//! Streams of events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): how many there may be,
//! and what ends them. One that ends before its subject does says `reconnect` last. Nothing is kept for a reader: what is next is read when it takes it, so a slow one costs
//! a place and no memory. Who has taken nothing for a while loses that place to the next who comes.

mod guard;
mod looks;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde::Serialize;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

pub use guard::guard_streams;
pub use looks::{Beat, Looks, Made, Part};

use crate::auth::Caller;
use crate::http::{App, Problem, ProblemKind};
use crate::metrics::OpenStream;
use crate::model::{Clock, Milliseconds, Timestamp};

/// Between two signs of life on a stream on which nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A reader that has not even taken the signs of life for so long is given up when others want its place.
const STALLED_AFTER: Milliseconds = Milliseconds::from_seconds(60);
/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// How many streams there may be at once.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// Of one person.
    pub each: usize,
    /// Of all.
    pub all: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { each: 32, all: 1000 }
    }
}

/// The streams of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    limits: StreamLimits,
    open: Arc<Mutex<BTreeMap<u64, Slot>>>,
    shutdown: CancellationToken,
    looks: Looks,
}

#[derive(Debug)]
struct Slot {
    caller: Caller,
    /// When its reader last took something.
    taken_at: Timestamp,
    end: CancellationToken,
    why: Arc<OnceLock<End>>,
}

/// Why a stream ends before its subject does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its reader may come back, and is then somebody with other rights perhaps.
    Reconnect,
    /// Its reader is nobody any more.
    SignedOut,
}

/// One open stream; gives its place back when it goes.
#[derive(Debug)]
pub struct Place {
    streams: Streams,
    number: u64,
    end: CancellationToken,
    why: Arc<OnceLock<End>>,
    _counted: OpenStream,
}

impl Streams {
    /// Streams that end with `shutdown`, so that they do not keep a process from ending.
    #[must_use]
    pub fn new(limits: StreamLimits, shutdown: CancellationToken) -> Self {
        Self { limits, shutdown, ..Self::default() }
    }

    /// Looks that streams share.
    #[must_use]
    pub fn looks(&self) -> &Looks {
        &self.looks
    }

    /// A place for one more stream of somebody.
    pub fn open(&self, caller: &Caller, now: Timestamp) -> Result<Place, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |slot: &Slot| slot.caller.person == caller.person;
        let is_full = open.values().filter(|it| own(it)).count() >= self.limits.each;
        if is_full && !give_up(&mut open, now, own) {
            return Err(too_many(format!("you have {} streams open", self.limits.each)));
        }
        if open.len() >= self.limits.all && !give_up(&mut open, now, |_| true) {
            return Err(too_many("the server has as many streams open as it can".to_owned()));
        }
        let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
        let end = self.shutdown.child_token();
        let why = Arc::<OnceLock<End>>::default();
        let (caller, end_too) = (caller.clone(), end.clone());
        open.insert(number, Slot { caller, taken_at: now, end: end_too, why: why.clone() });
        Ok(Place { streams: self.clone(), number, end, why, _counted: OpenStream::new() })
    }

    /// Who reads, by the numbers of their streams.
    fn callers(&self) -> Vec<(u64, Caller)> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().map(|(number, slot)| (*number, slot.caller.clone())).collect()
    }

    fn end(&self, number: u64, why: End) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = open.get(&number) {
            let _ended_already = slot.why.set(why);
            slot.end.cancel();
        }
    }
}

/// Ends one stream whose reader has stalled; says whether there was one.
fn give_up(open: &mut BTreeMap<u64, Slot>, now: Timestamp, may: impl Fn(&Slot) -> bool) -> bool {
    let is_stalled = |it: &Slot| now.since(it.taken_at) > STALLED_AFTER;
    let found = open.iter().find(|(_, it)| may(it) && is_stalled(it)).map(|(number, _)| *number);
    let slot = found.and_then(|it| open.remove(&it));
    slot.map(|it| it.end.cancel()).is_some()
}

fn too_many(title: String) -> Problem {
    Problem::new(ProblemKind::TooMany, title).with_help("Close one, or ask again in a moment.")
}

impl Place {
    fn taken(&self, now: Timestamp) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = open.get_mut(&self.number) {
            slot.taken_at = now;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.number);
    }
}

/// The answer whose body is this stream. A problem is its last event.
pub fn event_stream<S>(app: &App, place: Place, events: S) -> Response
where
    S: Stream<Item = Result<Event, Problem>> + Send + 'static,
{
    let ended = place.end.clone().cancelled_owned();
    let body = Body {
        place,
        clock: Arc::clone(&app.clock),
        ended: Box::pin(ended),
        events: Box::pin(events),
        is_over: false,
    };
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let mut response = Sse::new(body).keep_alive(heartbeat).into_response();
    // Proxies that collect answers are asked not to.
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    response
}

/// An event with a JSON body.
pub fn event(name: &str, id: Option<String>, body: &impl Serialize) -> Result<Event, Problem> {
    let event = Event::default().event(name).retry(RETRY);
    let event = if let Some(id) = id { event.id(id) } else { event };
    event.json_data(body).map_err(|it| Problem::internal(&it))
}

/// The id of the last event that the client has seen.
#[must_use]
pub fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id").and_then(|it| it.to_str().ok()).filter(|it| !it.is_empty())
}

struct Body {
    place: Place,
    clock: Arc<dyn Clock>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    events: Pin<Box<dyn Stream<Item = Result<Event, Problem>> + Send>>,
    is_over: bool,
}

impl Stream for Body {
    type Item = Result<Event, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.place.taken(self.clock.now());
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.ended.as_mut().poll(cx).is_ready() {
            self.is_over = true;
            let event = match self.place.why.get() {
                Some(End::SignedOut) => Problem::unauthenticated().into_event(),
                Some(End::Reconnect) | None => {
                    Event::default().event("reconnect").retry(RETRY).data("")
                }
            };
            return Poll::Ready(Some(Ok(event)));
        }
        match self.events.as_mut().poll_next(cx) {
            Poll::Ready(Some(Err(problem))) => {
                self.is_over = true;
                Poll::Ready(Some(Ok(problem.into_event())))
            }
            Poll::Ready(Some(Ok(event))) => Poll::Ready(Some(Ok(event))),
            Poll::Ready(None) => {
                self.is_over = true;
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Proof;
    use crate::model::PersonId;

    fn person(name: &str) -> Caller {
        Caller {
            person: PersonId(name.to_owned()),
            login: name.to_owned(),
            is_owner: false,
            proof: Proof::Session(format!("session of {name}")),
            roles: BTreeMap::new(),
        }
    }

    #[test]
    fn a_place_is_given_back_and_a_stalled_reader_loses_it() {
        let limits = StreamLimits { each: 2, all: 3 };
        let streams = Streams::new(limits, CancellationToken::new());
        let open = |name, at| streams.open(&person(name), Timestamp(at));
        let (first, second) = (open("ada", 0).unwrap(), open("ada", 0).unwrap());
        assert_eq!(open("ada", 0).unwrap_err().kind(), ProblemKind::TooMany);
        let others = open("eve", 0).unwrap();
        assert_eq!(open("bob", 0).unwrap_err().kind(), ProblemKind::TooMany);
        drop(first);
        let third = open("ada", 50_000).unwrap();
        second.taken(Timestamp(50_000));
        assert!(open("ada", 90_000).is_err(), "both of hers are read");
        let fourth = open("bob", 90_000).unwrap();
        assert!(others.end.is_cancelled(), "nobody has read it since 0");
        assert!(!second.end.is_cancelled() && !third.end.is_cancelled());
        drop((second, third, fourth, others));
        assert!(streams.open.lock().unwrap().is_empty());
    }

    #[test]
    fn all_streams_end_with_the_process() {
        let shutdown = CancellationToken::new();
        let streams = Streams::new(StreamLimits::default(), shutdown.clone());
        let place = streams.open(&person("ada"), Timestamp(0)).unwrap();
        shutdown.cancel();
        assert!(place.end.is_cancelled());
    }
}
