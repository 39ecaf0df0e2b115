//! Whether this process takes requests: it says so before it stops, so that whoever sends them sends them
//! elsewhere, and streams end with a hint to come back.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse;
use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use crate::metrics::OpenStream;

/// How long a reader waits before it comes back.
const COME_BACK: Duration = Duration::from_secs(1);

/// Where a process is in its life. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    draining: CancellationToken,
    executor: Arc<Mutex<Option<String>>>,
}

impl Lifecycle {
    /// From now on the process is about to stop.
    pub fn begin_drain(&self) {
        self.draining.cancel();
    }

    /// Whether it is.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// What runs stages answers (`None`), or does not.
    pub fn note_executor(&self, problem: Option<String>) {
        *self.executor.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Why what runs stages cannot be used.
    #[must_use]
    pub fn executor_problem(&self) -> Option<String> {
        self.executor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The events until they end or the process is about to stop; then a last one, `reconnect`, that says when
    /// to come back. A browser does so with the id of the last event it has seen.
    pub fn until_drain<S>(
        &self,
        events: S,
    ) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send + use<S>
    where
        S: Stream<Item = Result<sse::Event, Infallible>> + Send,
    {
        let open = OpenStream::new();
        let (draining, then) = (self.draining.clone(), self.draining.clone());
        let goodbye = stream::once(async move {
            let goodbye = sse::Event::default().event("reconnect").retry(COME_BACK).data("");
            then.is_cancelled().then_some(Ok(goodbye))
        });
        let events = events.take_until(draining.cancelled_owned());
        events.chain(goodbye.filter_map(std::future::ready)).inspect(move |_| {
            let _alive = &open;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_ends_with_a_hint_when_the_process_stops() {
        let lifecycle = Lifecycle::default();
        let one = stream::iter([Ok(sse::Event::default().data("1"))]);
        let events = lifecycle.until_drain(one.chain(stream::pending()));
        let mut events = std::pin::pin!(events);
        let first = events.next().await.unwrap().unwrap();
        assert!(format!("{first:?}").contains("data: 1"), "{first:?}");
        lifecycle.begin_drain();
        let last = events.next().await.unwrap().unwrap();
        assert!(format!("{last:?}").contains("reconnect"), "{last:?}");
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_that_ends_by_itself_says_nothing_more() {
        let events = Lifecycle::default().until_drain(stream::empty());
        assert_eq!(events.count().await, 0);
    }
}
